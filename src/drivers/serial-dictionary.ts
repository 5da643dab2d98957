/**
 * What messages on a serial line have in common, in the order in which they say it: both ends pack
 * and unpack with it, so a message costs what is new in it. Always holds: it belongs to version 1
 * of the line's protocol and never changes within it, since the other end may run another program;
 * fields that are not in it cost their plain length and no more. Imports nothing.
 */

const ROLLOUT =
  '{"type":"answer","id":"","answer":{"error":{"code":"pair.not_healthy","message":"' +
  '{"type":"request","id":"","request":{"do":"cancel","by":"","reason":"","do":"finalize",' +
  '"do":"start","record":{"schema":1,"id":' +
  '{"type":"rollout","record":{"schema":1,"id":"rollback","kind":"update","to":{"bundle":"",' +
  '"bytes":,"product":"appliance","version":"","counter":,"images":[{"name":"system",' +
  '"class":"system","release":{"product":"appliance","class":"system","version":"1.0.0",' +
  '"counter":1},"runsWith":">=1.0.0 <3.0.0"},{"name":"storage","class":"storage","release":' +
  '{"product":"appliance","class":"storage","version":"1.0.0","counter":1},' +
  '"runsWith":">=1.0.0"}]},' +
  '"first":"B","policy":{"order":"standby-first","order":"active-first","onSecondFailure":' +
  '"rollback","onSecondFailure":"hold","retries":1,"soakS":60,"tries":2,"deadmanS":2700,' +
  '"graceS":20},"writer":{"epoch":1,"seq":1},"phase":"VALIDATE PRECHECK STAGE INSTALL1 DRAIN1 ' +
  'DOWN1 ACT1 TRIAL1 SYNC1 COMMIT1 ADMIT1 HAND1 INSTALL2 DOWN2 ACT2 TRIAL2 SYNC2 COMMIT2 ADMIT2 ' +
  'REFORM BACK1 BACK2 RB_HAND RB_DOWN RB_ACT RB_TRIAL RB_SYNC RB_COMMIT RB_ADMIT FINALIZE DONE ' +
  'FAILED HOLD_MIXED ROLLED_BACK CANCELLED","nodes":{"A":{"from":{"system":{"product":' +
  '"appliance","class":"system","version":"1.0.0","counter":1},"storage":{"product":"appliance",' +
  '"class":"storage","version":"1.0.0","counter":1}},"skip":false,"attempts":0,"log":[]},"B":' +
  '{"from":{"system":null,"storage":null},"skip":true,"attempts":1,"log":[{"at":"2026-01-01T' +
  '00:00:00.000Z","phase":"INSTALL1","text":"node A node B"},{"at":"20","phase":"","text":""}]}},' +
  '"soak":{"bootId":"","run":""},"soak":null,"abort":{"by":"","at":"","reason":""},"abort":null,' +
  '"paused":null,"result":{"code":"","message":""},"result":null,"startedAt":"2026-01-01T' +
  '00:00:00.000Z","phaseAt":"20","estimateS":null,"finalized":false,"finalized":true}}';

const REPORT_WORDS =
  '"admits":{"bootId":"","epoch":2},"rollout":{"id":"","epoch":1,"seq":1,"phase":"DONE"},' +
  '"standDown":{"rollout":"","epoch":1},"update":{"rollout":"","bundle":"","attempt":1,"mode":' +
  '"return","mode":"install","targets":[{"class":"system","slot":"B","image":"system","release":' +
  '{"class":"storage","slot":"B","image":"storage","release":{"product":"","class":"","version":' +
  '"","counter":}}],"storageRunsUnderOld":true,"storageRunsUnderOld":false,"state":"installing",' +
  '"state":"installed","state":"arming","state":"rebooting","state":"trial","state":"healthy",' +
  '"state":"committing","state":"committed","state":"reverting","state":"reverted","state":' +
  '"failed","trial":{"id":1,"slot":"B","rollout":"","tries":2,"deadmanS":2700},"bootId":"",' +
  '"reason":{"code":"health.check","message":"the peer does not answer"},"outcome":"reverted",' +
  '"outcome":"committed","trialId":1,"systemSlot":"B","old":"A","new":"B","newRunsUnderOld":true,' +
  '"proven":true},"activity":{"name":"syncing","name":"installing","progress":{"doneBytes":0,' +
  '"totalBytes":0},"job":"","job":null},"staging":{"bundle":"","bytes":},"sync":{"doneBytes":,' +
  '"totalBytes":},"lastSync":{"sentBytes":0,"storeBytes":0},"role":"secondary","local":"stale",' +
  '"peer":"syncing","peer":"stale","peer":"unknown","reason":"power-on","reason":"trial",' +
  '"reason":"fallback","reason":"reboot","frozen":true,"splitBrain":true,"serving":false,' +
  '"admitted":false,"connected":false,"canRollBack":true,';

const SEALS =
  '"seals":{"system":{"A":{"imageId":"0123456789abcdef","rawBytes":,"rawSha256":"","release":' +
  '{"product":"appliance","class":"system","version":"1.0.0","counter":1},"runsWith":' +
  '">=1.0.0 <3.0.0","committed":0},"B":null},"storage":{"A":{"imageId":"","rawBytes":,' +
  '"rawSha256":"","release":{"product":"appliance","class":"storage","version":"1.0.0",' +
  '"counter":1},"runsWith":">=1.0.0","committed":null},"B":null}},"depot":[],';

const REPORT =
  '{"type":"report","report":{"schema":1,"protocol":[1,1],"pair":"","node":"B","node":"A",' +
  '"bootId":"","run":"","seq":1,"program":"0.1.0","boot":{"bootId":"","slot":"A","reason":' +
  '"default","attempt":0},"record":{"schema":1,"node":"A","pair":"","bootId":"",' +
  '"role":{"epoch":1,' +
  '"holder":"A","peerMayTakeOver":true,"peerMayTakeOver":false},"standDown":null,"knownStale":' +
  'false,"generation":{"current":"","base":null,"history":[]},"slots":{"booted":"A",' +
  '"default":"A",' +
  '"trial":null,"outcome":"none","reason":null},"storage":{"current":"A","previous":null,"trial":' +
  'null,"outcome":"none","reason":null},"update":{"state":"idle"},"lastTrialId":0,"canRollBack":' +
  'false,"featureLevel":1,"releaseFloor":0},"serving":true,"admitted":true,"admits":null,' +
  '"rollout":null,"system":{"product":"appliance","class":"system","version":"1.0.0",' +
  '"counter":1},' +
  '"storage":{"product":"appliance","class":"storage","version":"1.0.0","counter":1},' +
  SEALS +
  '"store":{"role":"primary","epoch":1,"connected":true,"local":"current","peer":"current",' +
  '"frozen":false,"splitBrain":false,"sync":null,"lastSync":null,"generation":{"current":"",' +
  '"base":"","history":[""]},"protocol":[1,1]},"activity":null,"troubles":{},"bulkPort":null,' +
  '"staging":null,"freeBytes":null}}';

/** The dictionary of version 1 of the line's protocol. What is met most often stands last. */
export const SERIAL_DICTIONARY: Buffer = Buffer.from(ROLLOUT + REPORT_WORDS + REPORT);
