#!/bin/sh
# Updates the pair and says in one word what became of it: from-the-man-page.sh FILE KEY
#
# Written from the man page tandem(1) alone: verbs, options, exit statuses, variables. It may be
# killed at any moment, by a reboot of its own node too, and started again with the same KEY: the
# update is made once. Its exit status is that of tandem.
set -u
FILE=$1
KEY=$2

# By the table EXIT STATUS.
outcome() {
  case $1 in
    0) echo updated ;;
    3) echo nothing-to-do ;;
    2) echo usage ;;
    10) echo bundle-damaged ;;
    11) echo same-or-newer ;;
    12) echo no-path ;;
    13) echo untrusted ;;
    14) echo other-product ;;
    15) echo no-space ;;
    24) echo pair-not-ready ;;
    30) echo first-node-failed ;;
    31) echo storage-failed ;;
    32) echo second-node-failed ;;
    33) echo call-a-person ;;
    41) echo cancelled ;;
    50) echo no-daemon ;;
    51) echo not-permitted ;;
    *) echo "status-$1" ;;
  esac
  exit "$1"
}

JOB=$(tandem update "$FILE" --detach --yes --detailed-exitcode --idempotency-key "$KEY")
STATUS=$?
[ "$STATUS" -eq 0 ] || outcome "$STATUS"
echo "job $JOB"

# The wait may end before the job: by its time limit (40), or with the daemon (50).
until tandem job wait "$JOB" --patient --timeout 20 >&2; do
  STATUS=$?
  case $STATUS in
    40 | 50) echo "still waiting ($STATUS)" >&2 ;;
    *) outcome "$STATUS" ;;
  esac
done

tandem cluster status --wait-ready --timeout 600 >&2 || outcome $?
tandem commit --wait --yes --idempotency-key "$KEY-commit" >&2 || outcome $?
outcome 0
