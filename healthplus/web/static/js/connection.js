// Says when the network is gone; what is on the page stays. And polls for updates while there is one.
const status = document.getElementById("connection");

function showStatus() {
  status.textContent = navigator.onLine ? "" : status.dataset.offline;
}

/** Say that a form stays where it is, with what was typed, until there is a network. */
export function sayNotSent() {
  status.textContent = status.dataset.notSent;
}

addEventListener("online", showStatus);
addEventListener("offline", showStatus);
if (!navigator.onLine) showStatus();

const ASK_EVERY = 1000;
const PAUSE_MAX = 15_000;
const STALE_AFTER = 35_000; // an answer comes after 25 s at the latest

// The bar of a patient who waits has its updates by the poll of a page that has one, while that goes on.
let guest;
let askAgain = () => {};

/** Have the page's poll, if it has one, ask with `query()` besides and `take` what comes; `rest` is told whether it goes on. */
export function shareWith(other) {
  guest = other;
  askAgain();
}

/** What a page's poll adds to its question. */
export function guestQuery() {
  return guest?.query() ?? "";
}

/** Give on what an answer says of it. */
export function toGuest(update) {
  guest?.take(update);
}

/**
 * Keep calling `ask`, with a signal to give up, while the page is seen: one call at a time, at most one a second, fewer
 * after failures (anything that it throws), and at once when the network is back. Returns what stops it and resumes it.
 */
export function poll(ask) {
  let turn = 0;
  let asking;
  let isOff = false;

  async function goOn() {
    if (asking || isOff || document.hidden) return;
    turn += 1;
    const mine = turn;
    let failures = 0;
    guest?.rest(true);
    while (mine === turn) {
      const giveUp = new AbortController();
      asking = giveUp;
      const dead = setTimeout(() => giveUp.abort(), STALE_AFTER);
      const due = new Promise((go) => setTimeout(go, Math.min(PAUSE_MAX, ASK_EVERY * 2 ** failures)));
      try {
        await ask(giveUp.signal);
        failures = 0;
      } catch {
        failures += 1;
      }
      clearTimeout(dead);
      await due;
    }
  }

  function stop() {
    turn += 1;
    asking?.abort();
    asking = undefined;
    guest?.rest(false);
  }

  // A tab behind others leaves them the few connections that a browser has.
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : goOn()));
  addEventListener("pageshow", goOn);
  addEventListener("pagehide", stop);
  askAgain = () => {
    stop();
    goOn();
  };
  addEventListener("online", askAgain);
  goOn();
  return {
    off() {
      isOff = true;
      stop();
    },
    on() {
      isOff = false;
      goOn();
    },
  };
}
