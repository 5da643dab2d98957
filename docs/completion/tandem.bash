# Completion of tandem(1) for bash; made by `tandem completion bash`.

_tandem_firsts() {
  printf '%s\t%s\n' 'status' 'Show both nodes, the update that runs or ran last, and alarms.'
  printf '%s\t%s\n' 'cluster' 'status'
  printf '%s\t%s\n' 'slots' 'Show what the slots of both nodes hold.'
  printf '%s\t%s\n' 'metrics' 'Print versions, roles, sync, ages and counters as OpenMetrics text.'
  printf '%s\t%s\n' 'history' 'List the updates of the pair, or show the log of one.'
  printf '%s\t%s\n' 'validate' 'Check a bundle against this pair; nothing is written.'
  printf '%s\t%s\n' 'stage' 'Copy a bundle to both nodes and verify it there; no slot is written.'
  printf '%s\t%s\n' 'update' 'Update the pair from a bundle file or a staged bundle.'
  printf '%s\t%s\n' 'rollback' 'Return the pair to the old version, until `tandem commit`.'
  printf '%s\t%s\n' 'commit' 'Make the new version permanent on both nodes.'
  printf '%s\t%s\n' 'schedule' 'list, now, defer, cancel'
  printf '%s\t%s\n' 'prepare' 'Do ahead on both nodes all that an install needs; no slot is written.'
  printf '%s\t%s\n' 'switchover' 'Exchange the roles of the two nodes, and wait until the other one serves.'
  printf '%s\t%s\n' 'takeover' 'Say that the peer is off for sure: this node goes on, or takes over, alone.'
  printf '%s\t%s\n' 'stand-down' 'Let this standby promise not to take over, for maintenance, or end the promise.'
  printf '%s\t%s\n' 'restart' 'Restart this node; a service that it has is handed over first.'
  printf '%s\t%s\n' 'shutdown' 'Switch this node off; a service that it has is handed over first.'
  printf '%s\t%s\n' 'support' 'Make an archive for support: status, logs, journal; no secrets.'
  printf '%s\t%s\n' 'console' 'Open the maintenance console on this terminal.'
  printf '%s\t%s\n' 'settings' 'show, set'
  printf '%s\t%s\n' 'user' 'add, list, remove, passwd, role, unlock, recovery'
  printf '%s\t%s\n' 'storage' 'status, verify, resync, resolve'
  printf '%s\t%s\n' 'job' 'list, wait, cancel, pause, resume, log'
  printf '%s\t%s\n' 'bundle' 'keygen, make, sign, to-sign, show, verify'
  printf '%s\t%s\n' 'trust' 'make, sign, show, verify'
  printf '%s\t%s\n' 'pair' 'init, join, replace'
  printf '%s\t%s\n' 'journal' 'show, repair'
  printf '%s\t%s\n' 'daemon' 'Run the service of this node in the foreground until SIGTERM.'
  printf '%s\t%s\n' 'config' 'check, example'
  printf '%s\t%s\n' 'completion' 'Print the completion for bash, zsh or fish.'
  printf '%s\t%s\n' 'explain' 'Explain a code, a state or an exit status, and what to do about it.'
  printf '%s\t%s\n' 'help' 'Arguments, options and an example of a verb.'
}

_tandem_seconds() {
  case "$1" in
    'cluster') printf '%s\t%s\n' 'status' 'Show how far the pair has reformed, or wait until it is ready.' ;;
    'history') printf '%s\t%s\n' 'show' 'Show the log of one update, or its time line as a picture.' ;;
    'schedule') printf '%s\t%s\n' 'list' 'List scheduled updates, and what holds updates up now.'; printf '%s\t%s\n' 'now' 'Begin a scheduled update at once, as far as windows and files allow.'; printf '%s\t%s\n' 'defer' 'Put a scheduled update off, as often and for as long as is allowed.'; printf '%s\t%s\n' 'cancel' 'Give a scheduled update up, its repetitions too.' ;;
    'prepare') printf '%s\t%s\n' 'status' 'Show each stage of each node, and what an install still waits for.'; printf '%s\t%s\n' 'ignore' 'Go on without a node that cannot be prepared; its install is slower.'; printf '%s\t%s\n' 'heed' 'Let an ignored node count again.'; printf '%s\t%s\n' 'retry' 'Run failed stages again at once; what is done stays.'; printf '%s\t%s\n' 'authorize' 'Allow one install of what is prepared.'; printf '%s\t%s\n' 'configure' 'Settle how it is installed; the plan is frozen with that.'; printf '%s\t%s\n' 'cancel' 'Give up what is prepared; the bundle stays staged.' ;;
    'support') printf '%s\t%s\n' 'list' 'Show the support archives that this node keeps.'; printf '%s\t%s\n' 'get' 'Copy a kept support archive; here when nothing else is said.'; printf '%s\t%s\n' 'delete' 'Delete a kept support archive.' ;;
    'settings') printf '%s\t%s\n' 'show' 'Settings of this node (console, dates) and its network.'; printf '%s\t%s\n' 'set' 'Set one of them on this node.' ;;
    'user') printf '%s\t%s\n' 'add' 'Let somebody log in at the console of this node; asks for the password.'; printf '%s\t%s\n' 'list' 'Show the users of this node, who is logged in, and who is locked out.'; printf '%s\t%s\n' 'remove' 'Remove a user, and end its sessions.'; printf '%s\t%s\n' 'passwd' 'Set the password of a user, and end its sessions.'; printf '%s\t%s\n' 'role' 'Give a user another role, and end its sessions.'; printf '%s\t%s\n' 'unlock' 'Forget the failed logins of a user; without NAME those of unknown names.'; printf '%s\t%s\n' 'recovery' 'Print a code with which a user sets a new password on the login screen, once.' ;;
    'storage') printf '%s\t%s\n' 'status' 'Show both copies of the storage, the newest verify, a split brain.'; printf '%s\t%s\n' 'verify' 'Compare both copies of the storage while the service goes on; changes nothing.'; printf '%s\t%s\n' 'resync' 'Make the standby'\''s copy of the storage equal to the active'\''s.'; printf '%s\t%s\n' 'resolve' 'End a split brain: keep one copy, save to a file what only the other one has.' ;;
    'job') printf '%s\t%s\n' 'list' 'List the jobs that the daemon knows, newest first.'; printf '%s\t%s\n' 'wait' 'Attach to a job (newest without ID); exit status of its end.'; printf '%s\t%s\n' 'cancel' 'Cancel an update while that is still possible.'; printf '%s\t%s\n' 'pause' 'Let an update rest at its next safe point, where high availability is up.'; printf '%s\t%s\n' 'resume' 'Let an update that was paused go on.'; printf '%s\t%s\n' 'log' 'Print the events of a job that the daemon still keeps.' ;;
    'bundle') printf '%s\t%s\n' 'keygen' 'Make a signing key, or take in a public key, and add it to a trust root.'; printf '%s\t%s\n' 'make' 'Make update.bin from a spec (JSON with comments) and raw image files.'; printf '%s\t%s\n' 'sign' 'Add signatures to a bundle, or sign a manifest that travelled alone.'; printf '%s\t%s\n' 'to-sign' 'Write the bytes that a key elsewhere signs: of a bundle, manifest or root.'; printf '%s\t%s\n' 'show' 'Show what a bundle says of itself, without checking who signed it.'; printf '%s\t%s\n' 'verify' 'Check the signatures and every byte of a bundle.' ;;
    'trust') printf '%s\t%s\n' 'make' 'Make a trust root, or the next version of one: keys added, revoked, removed.'; printf '%s\t%s\n' 'sign' 'Sign a new trust root: with enough of the old and enough of the new keys.'; printf '%s\t%s\n' 'show' 'Show a root.json, a roots.json, or what a bundle brings, without checking it.'; printf '%s\t%s\n' 'verify' 'Check the new trust roots of a roots.json or a bundle, as a node does.' ;;
    'pair') printf '%s\t%s\n' 'init' 'Print a one-time code and wait until the other node joins with it.'; printf '%s\t%s\n' 'join' 'Join the node that waits at ADDRESS with the code that it printed.'; printf '%s\t%s\n' 'replace' 'Give the place of the other node, which is off, to a new or re-imaged one.' ;;
    'journal') printf '%s\t%s\n' 'show' 'Show the last records of this node, and whether its journal is damaged.'; printf '%s\t%s\n' 'repair' 'Cut a damaged journal back to its last good records; the daemon must not run.' ;;
    'config') printf '%s\t%s\n' 'check' 'Check a configuration file; an error names line and values.'; printf '%s\t%s\n' 'example' 'Print a commented configuration with every setting.' ;;
    'help') _tandem_firsts ;;
  esac
}

_tandem_inner() {
  case "$1" in
    'cluster status'|'history show'|'schedule list'|'schedule now'|'schedule defer'|'schedule cancel'|'prepare status'|'prepare ignore'|'prepare heed'|'prepare retry'|'prepare authorize'|'prepare configure'|'prepare cancel'|'support list'|'support get'|'support delete'|'settings show'|'settings set'|'user add'|'user list'|'user remove'|'user passwd'|'user role'|'user unlock'|'user recovery'|'storage status'|'storage verify'|'storage resync'|'storage resolve'|'job list'|'job wait'|'job cancel'|'job pause'|'job resume'|'job log'|'bundle keygen'|'bundle make'|'bundle sign'|'bundle to-sign'|'bundle show'|'bundle verify'|'trust make'|'trust sign'|'trust show'|'trust verify'|'pair init'|'pair join'|'pair replace'|'journal show'|'journal repair'|'config check'|'config example') ;;
    *) return 1 ;;
  esac
}

_tandem_options() {
  case "$1" in
    'status') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--watch' 'Show it again and again until Ctrl-C; with --json an object a second.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'cluster status') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--watch' 'Show it again and again until Ctrl-C; with --json an object a second.'; printf '%s\t%s\n' '--wait-ready' 'Wait until the pair is highly available.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'slots') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'metrics') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'history') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--limit' 'At most this many; default 20.'; printf '%s\t%s\n' '--audit' 'List who asked this node for what, when and why.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'history show') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--svg' 'Print an SVG picture: nodes, phases, who served, and for how long nobody did.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'validate') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'stage') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--wait' 'Wait for the end; the exit status is that of the job.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--detach' 'Print only the id of the job and return.'; printf '%s\t%s\n' '--yes' 'Do not ask; without a terminal nothing is ever asked.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--list' 'List the bundles that are staged, and where; no FILE.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'update') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--wait' 'Wait for the end; the exit status is that of the job.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--detach' 'Print only the id of the job and return.'; printf '%s\t%s\n' '--yes' 'Do not ask; without a terminal nothing is ever asked.'; printf '%s\t%s\n' '--dry-run' 'Make every check, print each with its fix, and change nothing.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--order' 'active-first or standby-first; default as configured.'; printf '%s\t%s\n' '--estimate' 'Print how long it will take, and start nothing.'; printf '%s\t%s\n' '--on-second-failure' 'hold or rollback, when the second node fails for good; default as configured.'; printf '%s\t%s\n' '--format-target' 'Wipe the other slots before they are written, and write zeros behind the images.'; printf '%s\t%s\n' '--ignore-window' 'Begin and switch outside of the windows, too.'; printf '%s\t%s\n' '--at' 'Begin then: 02:00, "2026-11-28 02:00", with an offset, +2h, or window: in the next one.'; printf '%s\t%s\n' '--every' 'Look at FILE again and again, as "Sun 02:00" or "last Sat 23:30"; it may be replaced.'; printf '%s\t%s\n' '--zone' 'Time zone of --at and --every, as Europe/Berlin; default as configured.'; printf '%s\t%s\n' '--inform' 'Tell people and give them this many seconds to answer; 0 waits for an answer.'; printf '%s\t%s\n' '--deferrals' 'How often people may put it off; default as configured.'; printf '%s\t%s\n' '--choices' 'For how long they may, as 30m,4h,1d; default as configured.'; printf '%s\t%s\n' '--no-cancel' 'People may not cancel it.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'rollback') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--wait' 'Wait for the end; the exit status is that of the job.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--detach' 'Print only the id of the job and return.'; printf '%s\t%s\n' '--yes' 'Do not ask; without a terminal nothing is ever asked.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--estimate' 'Print how long it will take, and start nothing.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'commit') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--wait' 'Wait for the end; the exit status is that of the job.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--detach' 'Print only the id of the job and return.'; printf '%s\t%s\n' '--yes' 'Do not ask; without a terminal nothing is ever asked.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'schedule list') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'schedule now') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'schedule defer') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--for' 'One of the choices; the first one by default.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'schedule cancel') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'prepare') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--order' 'Which node the install updates first; default as configured.'; printf '%s\t%s\n' '--on-second-failure' 'hold or rollback, when the second node fails for good; default as configured.'; printf '%s\t%s\n' '--wait' 'Wait until all is prepared; failed stages are retried.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--detach' 'Print only the id and return.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'prepare status') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--ready' 'Exit status that an install would be refused with now; 0 when it may begin.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'prepare ignore') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'prepare heed') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'prepare retry') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'prepare authorize') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'prepare configure') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--order' 'Which node the install updates first; default as configured.'; printf '%s\t%s\n' '--on-second-failure' 'hold or rollback, when the second node fails for good; default as configured.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'prepare cancel') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'switchover') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--wait' 'Wait until the other node serves; this is the default.'; printf '%s\t%s\n' '--no-wait' 'Return as soon as the switchover has begun.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; default 60.'; printf '%s\t%s\n' '--yes' 'Do not ask; without a terminal nothing is ever asked.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'takeover') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--yes' 'Do not ask; needs --reason where a word would be typed.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'stand-down') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--end' 'End the promise: this node may take over again.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'restart') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--force' 'Also where nobody else can serve: the service stops.'; printf '%s\t%s\n' '--yes' 'Do not ask for the name of the node; needs --reason.'; printf '%s\t%s\n' '--wait' 'Wait for its end; this is the default.'; printf '%s\t%s\n' '--detach' 'Print the id of the job and return.'; printf '%s\t%s\n' '--no-wait' 'The same as --detach.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'shutdown') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--force' 'Also where nobody else can serve: the service stops.'; printf '%s\t%s\n' '--yes' 'Do not ask for the name of the node; needs --reason.'; printf '%s\t%s\n' '--wait' 'Wait for its end; this is the default.'; printf '%s\t%s\n' '--detach' 'Print the id of the job and return.'; printf '%s\t%s\n' '--no-wait' 'The same as --detach.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'support') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--out' 'Where the archive goes; - = standard output.'; printf '%s\t%s\n' '--offline' 'Collect from the disk alone; no daemon is asked.'; printf '%s\t%s\n' '--state-dir' 'With --offline: the state directory, also when the configuration is damaged.'; printf '%s\t%s\n' '--wait' 'Wait for the archive; this is the default.'; printf '%s\t%s\n' '--detach' 'Print the id of the job and return.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'support list') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'support get') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--out' 'Where the archive goes; - = standard output.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'support delete') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'console') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--login' 'Ask for a login, also where the user may use the control socket.'; printf '%s\t%s\n' '--readonly' 'Look only: every change is refused by this console.'; printf '%s\t%s\n' '--plain' 'Line by line, without screens: for TERM=dumb, screen readers and logs.'; printf '%s\t%s\n' '--baud' 'Speed of the line, where the system does not know it; output keeps to it.'; printf '%s\t%s\n' '--serial' 'Serve consoles on this serial port, which has no login program; 9600 baud.'; printf '%s\t%s\n' '--term' 'What the terminal is, instead of TERM; vt100 on a serial port.'; printf '%s\t%s\n' '--flow' 'Flow control of the line: none, xonxoff or rtscts.'; printf '%s\t%s\n' '--bundles' 'Look for bundles in this folder too, beside removable media.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'settings show') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'settings set') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'user add') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--role' 'viewer, operator or administrator.'; printf '%s\t%s\n' '--password-stdin' 'Read the password from the first line of standard input instead of asking for it.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'user list') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'user remove') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--yes' 'Do not ask.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'user passwd') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--password-stdin' 'Read the password from the first line of standard input instead of asking for it.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'user role') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'user unlock') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'user recovery') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--expires' 'How long it is valid: 30m, 24h, 7d; default 24h.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'storage status') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'storage verify') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--wait' 'Wait for its end; exit status of that.'; printf '%s\t%s\n' '--detach' 'Print only the id of the job and return.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'storage resync') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--wait' 'Wait for its end; exit status of that.'; printf '%s\t%s\n' '--detach' 'Print only the id of the job and return.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--yes' 'Do not ask; without a terminal nothing is ever asked.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'storage resolve') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--keep' 'The node whose copy is kept.'; printf '%s\t%s\n' '--detach' 'Print only the id of the job and return.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--yes' 'Do not ask; needs --reason where a word would be typed.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'job list') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'job wait') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--patient' 'Wait for a daemon that does not answer yet, too: after a reboot of this node.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'job cancel') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--wait' 'Wait until it is cancelled; exit status 0 then.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'job pause') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'job resume') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--dry-run' 'Judge it, say what it would do, and change nothing; exit status as if it were done.'; printf '%s\t%s\n' '--detailed-exitcode' 'Exit status 3 when it is so already and there is nothing to do.'; printf '%s\t%s\n' '--idempotency-key' 'The same change with the same KEY is done once, however often it is asked for.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'job log') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'bundle keygen') printf '%s\t%s\n' '--out' 'Folder for NAME.key (mode 0600) and NAME.pub.'; printf '%s\t%s\n' '--name' 'Name of the key; default release.'; printf '%s\t%s\n' '--public' 'Make no key: add this public key (PEM, ssh-ed25519 or minisign) to --root.'; printf '%s\t%s\n' '--namespace' 'Namespace of signatures of an SSH key.'; printf '%s\t%s\n' '--root' 'Trust root to make or to extend.'; printf '%s\t%s\n' '--threshold' 'Signatures that the root asks for; default 1 in a new root.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'bundle make') printf '%s\t%s\n' '--out' 'Bundle to make; default update.bin.'; printf '%s\t%s\n' '--image' 'File of an image; default what the spec says, relative to the spec.'; printf '%s\t%s\n' '--base' 'Full bundle of the release before: make a delta that updates from exactly it.'; printf '%s\t%s\n' '--level' 'zstd level, 1 to 22; default 9, delta 19.'; printf '%s\t%s\n' '--key' 'Sign at once with this key.'; printf '%s\t%s\n' '--after' 'Earlier release; versions and counters must grow together.'; printf '%s\t%s\n' '--manifest' 'Write manifest.json here too.'; printf '%s\t%s\n' '--roots' 'New trust roots that the bundle brings (roots.json of trust sign).'; printf '%s\t%s\n' '--updater' 'Newer updater that the bundle brings: the program in one file (tandem.mjs).'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'bundle sign') printf '%s\t%s\n' '--key' 'Private key to sign with.'; printf '%s\t%s\n' '--attach' 'Put in a signature of bundle sign, ssh-keygen, minisign or openssl.'; printf '%s\t%s\n' '--manifest' 'Sign this manifest.json instead of a bundle; the result goes to --out.'; printf '%s\t%s\n' '--out' 'Detached signature file to write.'; printf '%s\t%s\n' '--root' 'Trust root, to check what is attached.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'bundle to-sign') printf '%s\t%s\n' '--out' 'Where the bytes go; needed.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'bundle show') printf '%s\t%s\n' '--manifest' 'Write the exact manifest.json here.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'bundle verify') printf '%s\t%s\n' '--root' 'Trust root (root.json); needed.'; printf '%s\t%s\n' '--base' 'Full bundle that deltas are made from, to check what they give too.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'trust make') printf '%s\t%s\n' '--out' 'Root to make; needed.'; printf '%s\t%s\n' '--from' 'Root to go on from; its version grows by 1.'; printf '%s\t%s\n' '--add' 'Public key to add: PEM, of ssh-keygen or of minisign.'; printf '%s\t%s\n' '--namespace' 'Namespace of signatures of SSH keys.'; printf '%s\t%s\n' '--revoke' 'Key that counts no more; 8 digits or more. It stays in the file and is named.'; printf '%s\t%s\n' '--remove' 'Key that leaves the file.'; printf '%s\t%s\n' '--threshold' 'Signatures that are needed from then on.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'trust sign') printf '%s\t%s\n' '--roots' 'roots.json to make or to add to; needed.'; printf '%s\t%s\n' '--key' 'Private key to sign with.'; printf '%s\t%s\n' '--attach' 'Put in a signature of ROOT by ssh-keygen, minisign or openssl.'; printf '%s\t%s\n' '--old' 'Root before, to check what is attached.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'trust show') printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'trust verify') printf '%s\t%s\n' '--root' 'Trust root of the nodes (root.json); needed.'; printf '%s\t%s\n' '--out' 'Write the newest root.json here.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'pair init') printf '%s\t%s\n' '--config' 'Configuration file; default TANDEM_CONFIG, else /etc/tandem/tandem.jsonc.'; printf '%s\t%s\n' '--listen' 'Address to wait on; default link.listen of the configuration.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'pair join') printf '%s\t%s\n' '--config' 'Configuration file; default TANDEM_CONFIG, else /etc/tandem/tandem.jsonc.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'pair replace') printf '%s\t%s\n' '--socket' 'Control socket of the daemon; default TANDEM_SOCKET, else what the configuration says.'; printf '%s\t%s\n' '--config' 'Configuration that names the socket; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--listen' 'Address to wait on for the new node; default link.bulk of the configuration.'; printf '%s\t%s\n' '--detach' 'Return with the code; the job goes on.'; printf '%s\t%s\n' '--follow' 'Show what happens; with --json as NDJSON events.'; printf '%s\t%s\n' '--timeout' 'Stop waiting after this many seconds with exit status 40; the job goes on.'; printf '%s\t%s\n' '--since-seq' 'With --follow: only events after this sequence number.'; printf '%s\t%s\n' '--yes' 'Do not ask for the typed word; needs --reason.'; printf '%s\t%s\n' '--reason' 'Why; it stands in the audit log.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'journal show') printf '%s\t%s\n' '--config' 'Configuration that names the state directory; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--state-dir' 'The state directory itself; no configuration is read then.'; printf '%s\t%s\n' '--limit' 'Records to show; default 20.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'journal repair') printf '%s\t%s\n' '--config' 'Configuration that names the state directory; default TANDEM_CONFIG.'; printf '%s\t%s\n' '--state-dir' 'The state directory itself; no configuration is read then.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'daemon') printf '%s\t%s\n' '--config' 'Configuration file; default TANDEM_CONFIG, else /etc/tandem/tandem.jsonc.'; printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'config check') printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'config example') printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'completion') printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
    'explain') printf '%s\t%s\n' '--json' 'Print the result as one JSON object on standard output.'; printf '%s\t%s\n' '--help' 'Print help and exit.' ;;
  esac
}

_tandem_values() {
  case "$1" in
    'status --socket') printf '<file>\n' ;;
    'status --config') printf '<file>\n' ;;
    'cluster status --socket') printf '<file>\n' ;;
    'cluster status --config') printf '<file>\n' ;;
    'cluster status --timeout') : ;;
    'slots --socket') printf '<file>\n' ;;
    'slots --config') printf '<file>\n' ;;
    'metrics --socket') printf '<file>\n' ;;
    'metrics --config') printf '<file>\n' ;;
    'history --socket') printf '<file>\n' ;;
    'history --config') printf '<file>\n' ;;
    'history --limit') : ;;
    'history show --socket') printf '<file>\n' ;;
    'history show --config') printf '<file>\n' ;;
    'validate --socket') printf '<file>\n' ;;
    'validate --config') printf '<file>\n' ;;
    'stage --socket') printf '<file>\n' ;;
    'stage --config') printf '<file>\n' ;;
    'stage --timeout') : ;;
    'stage --since-seq') : ;;
    'stage --idempotency-key') : ;;
    'stage --reason') : ;;
    'update --socket') printf '<file>\n' ;;
    'update --config') printf '<file>\n' ;;
    'update --timeout') : ;;
    'update --since-seq') : ;;
    'update --idempotency-key') : ;;
    'update --reason') : ;;
    'update --order') printf '%s\n' 'active-first' 'standby-first' ;;
    'update --on-second-failure') printf '%s\n' 'hold' 'rollback' ;;
    'update --at') : ;;
    'update --every') : ;;
    'update --zone') : ;;
    'update --inform') : ;;
    'update --deferrals') : ;;
    'update --choices') : ;;
    'rollback --socket') printf '<file>\n' ;;
    'rollback --config') printf '<file>\n' ;;
    'rollback --timeout') : ;;
    'rollback --since-seq') : ;;
    'rollback --idempotency-key') : ;;
    'rollback --reason') : ;;
    'commit --socket') printf '<file>\n' ;;
    'commit --config') printf '<file>\n' ;;
    'commit --timeout') : ;;
    'commit --since-seq') : ;;
    'commit --idempotency-key') : ;;
    'commit --reason') : ;;
    'schedule list --socket') printf '<file>\n' ;;
    'schedule list --config') printf '<file>\n' ;;
    'schedule now --socket') printf '<file>\n' ;;
    'schedule now --config') printf '<file>\n' ;;
    'schedule now --idempotency-key') : ;;
    'schedule now --reason') : ;;
    'schedule defer --socket') printf '<file>\n' ;;
    'schedule defer --config') printf '<file>\n' ;;
    'schedule defer --idempotency-key') : ;;
    'schedule defer --reason') : ;;
    'schedule defer --for') : ;;
    'schedule cancel --socket') printf '<file>\n' ;;
    'schedule cancel --config') printf '<file>\n' ;;
    'schedule cancel --idempotency-key') : ;;
    'schedule cancel --reason') : ;;
    'prepare --socket') printf '<file>\n' ;;
    'prepare --config') printf '<file>\n' ;;
    'prepare --order') printf '%s\n' 'active-first' 'standby-first' ;;
    'prepare --on-second-failure') printf '%s\n' 'hold' 'rollback' ;;
    'prepare --timeout') : ;;
    'prepare --since-seq') : ;;
    'prepare --idempotency-key') : ;;
    'prepare --reason') : ;;
    'prepare status --socket') printf '<file>\n' ;;
    'prepare status --config') printf '<file>\n' ;;
    'prepare ignore --socket') printf '<file>\n' ;;
    'prepare ignore --config') printf '<file>\n' ;;
    'prepare ignore --idempotency-key') : ;;
    'prepare ignore --reason') : ;;
    'prepare heed --socket') printf '<file>\n' ;;
    'prepare heed --config') printf '<file>\n' ;;
    'prepare heed --idempotency-key') : ;;
    'prepare heed --reason') : ;;
    'prepare retry --socket') printf '<file>\n' ;;
    'prepare retry --config') printf '<file>\n' ;;
    'prepare retry --idempotency-key') : ;;
    'prepare retry --reason') : ;;
    'prepare authorize --socket') printf '<file>\n' ;;
    'prepare authorize --config') printf '<file>\n' ;;
    'prepare authorize --idempotency-key') : ;;
    'prepare authorize --reason') : ;;
    'prepare configure --socket') printf '<file>\n' ;;
    'prepare configure --config') printf '<file>\n' ;;
    'prepare configure --idempotency-key') : ;;
    'prepare configure --reason') : ;;
    'prepare configure --order') printf '%s\n' 'active-first' 'standby-first' ;;
    'prepare configure --on-second-failure') printf '%s\n' 'hold' 'rollback' ;;
    'prepare cancel --socket') printf '<file>\n' ;;
    'prepare cancel --config') printf '<file>\n' ;;
    'prepare cancel --idempotency-key') : ;;
    'prepare cancel --reason') : ;;
    'switchover --socket') printf '<file>\n' ;;
    'switchover --config') printf '<file>\n' ;;
    'switchover --timeout') : ;;
    'switchover --idempotency-key') : ;;
    'switchover --reason') : ;;
    'takeover --socket') printf '<file>\n' ;;
    'takeover --config') printf '<file>\n' ;;
    'takeover --idempotency-key') : ;;
    'takeover --reason') : ;;
    'stand-down --socket') printf '<file>\n' ;;
    'stand-down --config') printf '<file>\n' ;;
    'stand-down --idempotency-key') : ;;
    'stand-down --reason') : ;;
    'restart --socket') printf '<file>\n' ;;
    'restart --config') printf '<file>\n' ;;
    'restart --idempotency-key') : ;;
    'restart --reason') : ;;
    'restart --timeout') : ;;
    'restart --since-seq') : ;;
    'shutdown --socket') printf '<file>\n' ;;
    'shutdown --config') printf '<file>\n' ;;
    'shutdown --idempotency-key') : ;;
    'shutdown --reason') : ;;
    'shutdown --timeout') : ;;
    'support --socket') printf '<file>\n' ;;
    'support --config') printf '<file>\n' ;;
    'support --out') : ;;
    'support --state-dir') printf '<file>\n' ;;
    'support --timeout') : ;;
    'support --since-seq') : ;;
    'support --reason') : ;;
    'support list --socket') printf '<file>\n' ;;
    'support list --config') printf '<file>\n' ;;
    'support get --socket') printf '<file>\n' ;;
    'support get --config') printf '<file>\n' ;;
    'support get --out') : ;;
    'support delete --socket') printf '<file>\n' ;;
    'support delete --config') printf '<file>\n' ;;
    'console --socket') printf '<file>\n' ;;
    'console --config') printf '<file>\n' ;;
    'console --baud') : ;;
    'console --serial') printf '<file>\n' ;;
    'console --term') : ;;
    'console --flow') : ;;
    'console --bundles') printf '<file>\n' ;;
    'settings show --socket') printf '<file>\n' ;;
    'settings show --config') printf '<file>\n' ;;
    'settings set --socket') printf '<file>\n' ;;
    'settings set --config') printf '<file>\n' ;;
    'settings set --idempotency-key') : ;;
    'settings set --reason') : ;;
    'user add --socket') printf '<file>\n' ;;
    'user add --config') printf '<file>\n' ;;
    'user add --role') printf '%s\n' 'viewer' 'operator' 'administrator' ;;
    'user list --socket') printf '<file>\n' ;;
    'user list --config') printf '<file>\n' ;;
    'user remove --socket') printf '<file>\n' ;;
    'user remove --config') printf '<file>\n' ;;
    'user passwd --socket') printf '<file>\n' ;;
    'user passwd --config') printf '<file>\n' ;;
    'user role --socket') printf '<file>\n' ;;
    'user role --config') printf '<file>\n' ;;
    'user unlock --socket') printf '<file>\n' ;;
    'user unlock --config') printf '<file>\n' ;;
    'user recovery --socket') printf '<file>\n' ;;
    'user recovery --config') printf '<file>\n' ;;
    'user recovery --expires') : ;;
    'storage status --socket') printf '<file>\n' ;;
    'storage status --config') printf '<file>\n' ;;
    'storage verify --socket') printf '<file>\n' ;;
    'storage verify --config') printf '<file>\n' ;;
    'storage verify --idempotency-key') : ;;
    'storage verify --reason') : ;;
    'storage verify --timeout') : ;;
    'storage verify --since-seq') : ;;
    'storage resync --socket') printf '<file>\n' ;;
    'storage resync --config') printf '<file>\n' ;;
    'storage resync --idempotency-key') : ;;
    'storage resync --reason') : ;;
    'storage resync --timeout') : ;;
    'storage resync --since-seq') : ;;
    'storage resolve --socket') printf '<file>\n' ;;
    'storage resolve --config') printf '<file>\n' ;;
    'storage resolve --keep') printf '%s\n' 'A' 'B' ;;
    'storage resolve --idempotency-key') : ;;
    'storage resolve --reason') : ;;
    'storage resolve --timeout') : ;;
    'storage resolve --since-seq') : ;;
    'job list --socket') printf '<file>\n' ;;
    'job list --config') printf '<file>\n' ;;
    'job wait --socket') printf '<file>\n' ;;
    'job wait --config') printf '<file>\n' ;;
    'job wait --timeout') : ;;
    'job wait --since-seq') : ;;
    'job cancel --socket') printf '<file>\n' ;;
    'job cancel --config') printf '<file>\n' ;;
    'job cancel --idempotency-key') : ;;
    'job cancel --reason') : ;;
    'job cancel --timeout') : ;;
    'job cancel --since-seq') : ;;
    'job pause --socket') printf '<file>\n' ;;
    'job pause --config') printf '<file>\n' ;;
    'job pause --idempotency-key') : ;;
    'job pause --reason') : ;;
    'job resume --socket') printf '<file>\n' ;;
    'job resume --config') printf '<file>\n' ;;
    'job resume --idempotency-key') : ;;
    'job resume --reason') : ;;
    'job log --socket') printf '<file>\n' ;;
    'job log --config') printf '<file>\n' ;;
    'job log --timeout') : ;;
    'job log --since-seq') : ;;
    'bundle keygen --out') printf '<file>\n' ;;
    'bundle keygen --name') : ;;
    'bundle keygen --public') printf '<file>\n' ;;
    'bundle keygen --namespace') : ;;
    'bundle keygen --root') printf '<file>\n' ;;
    'bundle keygen --threshold') : ;;
    'bundle make --out') printf '<file>\n' ;;
    'bundle make --image') : ;;
    'bundle make --base') : ;;
    'bundle make --level') : ;;
    'bundle make --key') printf '<file>\n' ;;
    'bundle make --after') : ;;
    'bundle make --manifest') printf '<file>\n' ;;
    'bundle make --roots') printf '<file>\n' ;;
    'bundle make --updater') printf '<file>\n' ;;
    'bundle sign --key') printf '<file>\n' ;;
    'bundle sign --attach') printf '<file>\n' ;;
    'bundle sign --manifest') printf '<file>\n' ;;
    'bundle sign --out') printf '<file>\n' ;;
    'bundle sign --root') printf '<file>\n' ;;
    'bundle to-sign --out') printf '<file>\n' ;;
    'bundle show --manifest') printf '<file>\n' ;;
    'bundle verify --root') printf '<file>\n' ;;
    'bundle verify --base') : ;;
    'trust make --out') printf '<file>\n' ;;
    'trust make --from') printf '<file>\n' ;;
    'trust make --add') : ;;
    'trust make --namespace') : ;;
    'trust make --revoke') : ;;
    'trust make --remove') : ;;
    'trust make --threshold') : ;;
    'trust sign --roots') printf '<file>\n' ;;
    'trust sign --key') printf '<file>\n' ;;
    'trust sign --attach') printf '<file>\n' ;;
    'trust sign --old') printf '<file>\n' ;;
    'trust verify --root') printf '<file>\n' ;;
    'trust verify --out') printf '<file>\n' ;;
    'pair init --config') printf '<file>\n' ;;
    'pair init --listen') : ;;
    'pair join --config') printf '<file>\n' ;;
    'pair replace --socket') printf '<file>\n' ;;
    'pair replace --config') printf '<file>\n' ;;
    'pair replace --listen') : ;;
    'pair replace --timeout') : ;;
    'pair replace --since-seq') : ;;
    'pair replace --reason') : ;;
    'journal show --config') printf '<file>\n' ;;
    'journal show --state-dir') printf '<file>\n' ;;
    'journal show --limit') : ;;
    'journal repair --config') printf '<file>\n' ;;
    'journal repair --state-dir') printf '<file>\n' ;;
    'daemon --config') printf '<file>\n' ;;
    *) return 1 ;;
  esac
}

_tandem_args() {
  case "$1" in
    'history 0') _tandem_jobs ;;
    'history show 0') _tandem_jobs ;;
    'validate 0') printf '<file>\n' ;;
    'stage 0') printf '<file>\n' ;;
    'update 0') printf '<file>\n' ;;
    'schedule now 0') _tandem_jobs ;;
    'schedule defer 0') _tandem_jobs ;;
    'schedule cancel 0') _tandem_jobs ;;
    'prepare 0') printf '<file>\n' ;;
    'prepare ignore 0') printf '%s\n' 'A' 'B' ;;
    'prepare heed 0') printf '%s\n' 'A' 'B' ;;
    'prepare retry 0') _tandem_jobs ;;
    'prepare authorize 0') _tandem_jobs ;;
    'prepare configure 0') _tandem_jobs ;;
    'prepare cancel 0') _tandem_jobs ;;
    'support get 0') : ;;
    'support delete 0') : ;;
    'settings set 0') printf '%s\n' 'consoleSpeed' 'idleMin' 'dateOrder' 'timeZone' ;;
    'settings set 1') : ;;
    'user add 0') : ;;
    'user remove 0') : ;;
    'user passwd 0') : ;;
    'user role 0') : ;;
    'user role 1') printf '%s\n' 'viewer' 'operator' 'administrator' ;;
    'user unlock 0') : ;;
    'user recovery 0') : ;;
    'job wait 0') _tandem_jobs ;;
    'job cancel 0') _tandem_jobs ;;
    'job pause 0') _tandem_jobs ;;
    'job resume 0') _tandem_jobs ;;
    'job log 0') _tandem_jobs ;;
    'bundle make 0') printf '<file>\n' ;;
    'bundle sign 0') printf '<file>\n' ;;
    'bundle to-sign 0') printf '<file>\n' ;;
    'bundle show 0') printf '<file>\n' ;;
    'bundle verify 0') printf '<file>\n' ;;
    'trust sign 0') : ;;
    'trust show 0') printf '<file>\n' ;;
    'trust verify 0') printf '<file>\n' ;;
    'pair join 0') : ;;
    'pair join 1') : ;;
    'pair replace 0') printf '%s\n' 'A' 'B' ;;
    'config check 0') printf '<file>\n' ;;
    'completion 0') printf '%s\n' 'bash' 'zsh' 'fish' ;;
    'explain 0') printf '%s\n' 'internal.bug' 'usage.invalid' 'file.not_found' 'file.unreadable' 'config.invalid' 'tool.missing' 'tool.failed' 'state.locked' 'state.io' 'state.newer_schema' 'journal.corrupt' 'job.unknown' 'job.lost' 'job.interrupted' 'job.busy' 'bundle.not_a_file' 'bundle.wrong_type' 'bundle.damaged' 'bundle.truncated' 'bundle.trailing_data' 'bundle.unknown_format' 'bundle.invalid_manifest' 'bundle.delta_unsupported' 'bundle.wrong_base' 'bundle.invalid_input' 'bundle.interrupted' 'trust.no_root' 'trust.untrusted' 'trust.rotation' 'trust.not_kept' 'version.same_or_newer' 'version.downgrade' 'version.no_path' 'version.blocked' 'version.incompatible' 'updater.too_old' 'product.other' 'hardware.other' 'space.depot' 'space.slot' 'slot.io' 'slot.readback' 'slot.base_damaged' 'boot.io' 'boot.lost' 'boot.conflict' 'hook.veto' 'pair.not_paired' 'pair.already_paired' 'pair.code_wrong' 'pair.peer_unreachable' 'pair.wrong_peer' 'pair.code_malformed' 'pair.same_node' 'pair.keys_damaged' 'pair.cancelled' 'pair.unconfirmed' 'pair.other_version' 'pair.key_revoked' 'pair.replaced' 'replace.refused' 'link.listen_failed' 'link.serial_failed' 'pair.bad_message' 'pair.protocol' 'pair.not_replicated' 'pair.not_healthy' 'fence.self_test' 'fence.failed' 'fence.unknown' 'active.failed' 'storage.failed' 'standby.failed_held' 'standby.failed_rolled_back' 'revert.failed' 'rollback.unavailable' 'job.cancelled' 'job.not_cancellable' 'health.slot' 'health.check' 'health.storage' 'health.unexpected_reboot' 'trial.attempts_used' 'trial.deadline' 'confirm.needed' 'console.no_port' 'confirm.wrong' 'switchover.refused' 'switchover.abandoned' 'takeover.connected' 'takeover.stale' 'takeover.trial' 'standdown.active' 'standdown.refused' 'power.refused' 'power.failed' 'support.space' 'support.failed' 'job.not_pausable' 'pair.frozen' 'pair.stood_down' 'boot.armed' 'sync.stalled' 'pair.clock_skew' 'prepare.unknown' 'prepare.busy' 'prepare.refused' 'prepare.not_ready' 'prepare.not_authorized' 'prepare.not_configured' 'prepare.outdated' 'prepare.stuck' 'prepare.plan_lost' 'updater.unhealthy' 'window.closed' 'clock.wrong' 'update.inhibited' 'hook.later' 'hook.refused' 'schedule.deferred' 'schedule.informing' 'schedule.not_allowed' 'schedule.missed' 'schedule.unknown' 'schedule.full' 'access.login_required' 'access.denied' 'access.locked' 'access.role' 'access.certificate' 'access.held' 'access.idle' 'access.no_users' 'access.users_damaged' 'access.recovery_wrong' 'access.shell_off' 'access.password_weak' 'access.user_exists' 'access.user_unknown' 'access.last_administrator' 'store.unreachable' 'store.fenced' 'store.stale' 'store.split_brain' 'store.hung' 'store.not_split' 'store.differs' 'store.read_only' 'store.unacknowledged' 'store.busy' 'store.full' 'store.io' 'store.corrupt' 'slot.unpack' 'service.failed' 'installer.crashed' 'wait.timed_out' 'wait.detached' 'daemon.busy' 'daemon.rate_limited' 'remote.failed' 'request.key_reused' 'request.interrupted' 'daemon.unreachable' 'daemon.other_version' 'permission.denied' ;;
  esac
}

_tandem_jobs() {
  tandem job list --json 2>/dev/null | tr ',' '\n' | sed -n 's/.*"id":"\([^"]*\)".*/\1/p'
}

_tandem() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local verb=${COMP_WORDS[1]} start=2 index=0 found='' word=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    found=$(_tandem_firsts)
  else
    if [ "$COMP_CWORD" -eq 2 ]; then
      if [ -n "$(_tandem_seconds "$verb")" ]; then
        found=$(_tandem_seconds "$verb"; _tandem_args "$verb 0"; _tandem_options "$verb")
      fi
    elif _tandem_inner "$verb ${COMP_WORDS[2]}"; then
      verb="$verb ${COMP_WORDS[2]}" start=3
    fi
    if [ -z "$found" ] && ! found=$(_tandem_values "$verb $previous"); then
      if [ "${current#-}" != "$current" ]; then
        found=$(_tandem_options "$verb")
      else
        while [ "$start" -lt "$COMP_CWORD" ]; do
          word=${COMP_WORDS[start]}
          if _tandem_values "$verb $word" >/dev/null; then
            start=$((start + 1))
          elif [ "${word#-}" = "$word" ]; then
            index=$((index + 1))
          fi
          start=$((start + 1))
        done
        found=$(_tandem_args "$verb $index")
        [ -n "$found" ] || found=$(_tandem_options "$verb")
      fi
    fi
  fi
  while IFS=$'\t' read -r word _; do
    if [ "$word" = '<file>' ]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
      continue
    fi
    [ "${word#"$current"}" != "$word" ] || [ -z "$current" ] || continue
    [ -z "$word" ] || COMPREPLY+=("$word")
  done <<< "$found"
}

complete -F _tandem tandem
