// Asks for updates of the ticket that a page is about. One tab of a browser asks, and tells the others; a hidden one goes on asking.
const STALE_AFTER = 35_000; // an answer comes after 25 s at the latest
const PAUSE_MAX = 10_000;
const LIVE = ["waiting", "offered", "called"];

let page; // what followTicket was given
let channel;
let version = "";
let state;
let answeredAt = Date.now();
let isLost = false;
let isOver = false;
let isResting = false;

/** Show an update, whoever asked for it. */
export function take(update) {
  const wasLost = isLost;
  answeredAt = Date.now();
  isLost = false;
  if (update.over) {
    isOver = true;
    page.signedOut();
    return;
  }
  if (update.html) ({ version, state } = update);
  page.show(update, wasLost);
  tellSeen();
}

function lose() {
  if (isLost) return;
  isLost = true;
  page.lost();
}

// Polling. Except after failures nothing here waits for a timer: in a hidden tab it may come a minute late.

let asking;
let endPause = () => {};
let turn = 0;
let isAsking = false;
let isToldHidden = false; // whether the poll under way said that nobody sees this page
let seenElsewhere = ""; // the version that another tab, a visible one, shows

function isSeen() {
  return !document.hidden || (version && seenElsewhere === version);
}

/** Tell the tab that polls what this one shows to somebody. */
function tellSeen() {
  if (!document.hidden) channel.postMessage({ seen: version });
}

async function ask(after) {
  asking = new AbortController();
  const dead = setTimeout(() => asking.abort(), STALE_AFTER);
  const url = new URL(page.address, location.href);
  if (after) url.searchParams.set("after", after);
  isToldHidden = !isSeen();
  if (isToldHidden) url.searchParams.set("seen", "false");
  try {
    const answer = await fetch(url, { signal: asking.signal, cache: "no-store" });
    if ([401, 403, 404].includes(answer.status)) return { over: true };
    if (!answer.ok) throw new Error(answer.status);
    return await answer.json();
  } finally {
    clearTimeout(dead);
  }
}

async function keepAsking() {
  turn += 1;
  const mine = turn;
  let failures = 0;
  isAsking = true;
  while (mine === turn && !isOver && !isResting && LIVE.includes(state)) {
    try {
      // A client that was away may have been passed over: ask for the whole state then.
      const update = await ask(isLost || Date.now() - answeredAt > STALE_AFTER ? "" : version);
      take(update);
      channel.postMessage({ kind: page.kind, update });
      failures = update.reconnect ? failures + 1 : 0;
    } catch {
      if (mine !== turn) return;
      if (isResting) break;
      if (isToldHidden && isSeen()) continue; // it was ended to ask again, as a page that is seen
      failures += 1;
      if (failures > 1) {
        lose();
        channel.postMessage({ lost: true });
      }
    }
    if (failures > 1) {
      await new Promise((resolve) => {
        endPause = resolve;
        setTimeout(resolve, Math.min(PAUSE_MAX, 250 * 2 ** failures));
      });
    }
  }
  isAsking = false;
}

async function hear({ data }) {
  if (data.seen) {
    seenElsewhere = data.seen;
    if (isToldHidden && isSeen()) asking?.abort();
  } else if (data.lost) lose();
  else if (data.update?.over || data.kind === page.kind || (data.update && !data.update.html)) take(data.update);
  else if (data.update) take((await ask("").catch(() => null)) ?? {});
}

/** Poll when it is this tab's turn; only one tab of a browser polls at a time. */
function queueUp(options = {}) {
  if (!navigator.locks) return keepAsking();
  return navigator.locks.request(`ticket-${page.ticket}`, options, keepAsking).catch(() => {
    turn += 1; // another tab has taken over
    isAsking = false;
    asking?.abort();
    queueUp();
  });
}

/** Phones put hidden tabs to sleep: one that no longer polls must not keep a visible one from it. */
function takeOver() {
  if (!document.hidden && !isAsking && !isResting && Date.now() - answeredAt > STALE_AFTER) queueUp({ steal: true });
}

/** After sleep, or when the network is back, a request from before may never be answered. */
function wake() {
  if (document.hidden) return;
  endPause();
  if (isLost || isToldHidden || Date.now() - answeredAt > STALE_AFTER) asking?.abort();
  tellSeen();
  takeOver();
}

/** The version that the page shows; "" before its first update, where the page itself does not say it. */
export function shownVersion() {
  return version;
}

/** Leave asking to another poll of the page, which gives what comes to `take`; or ask again. */
export function rest(does) {
  if (isResting === does) return;
  isResting = does;
  if (does) asking?.abort();
  else queueUp();
}

/**
 * Ask at `address` while the ticket is live, and `show` each update, with whether it ends a loss of the connection, of which
 * `lost` was told; `signedOut`: there will be no more. Tabs of one `kind` show the same.
 */
export function followTicket(given) {
  page = given;
  ({ version, state } = page);
  channel = new BroadcastChannel(`ticket-${page.ticket}`);
  channel.onmessage = hear;
  document.addEventListener("visibilitychange", wake);
  addEventListener("pageshow", wake);
  addEventListener("online", wake);
  addEventListener("offline", lose);
  setInterval(takeOver, 15_000);
  tellSeen();
  if (!isResting) queueUp();
}
