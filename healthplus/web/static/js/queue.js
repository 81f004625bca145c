// Keeps the page of a ticket up to date: one tab polls and informs the others. It never leads to another page by itself.
import { countDown, follow, minutes, serverNow } from "./countdown.js";

const SAY_EVERY = 30_000;
const STILL_EVERY = 300_000;
const STALE_AFTER = 35_000; // an answer comes after 25 s at the latest
const PAUSE_MAX = 10_000;

const page = document.getElementById("wait");
const words = page.dataset;
const say = document.getElementById("say");
const connection = document.getElementById("connection");
const button = document.getElementById("alert");
const language = document.documentElement.lang;
const channel = new BroadcastChannel(`ticket-${words.ticket}`);

let { version, state } = words;
let position = words.position;
let answeredAt = Date.now();
let isLost = false;
let isOver = false;

// What is read aloud: changes of the number, at most every 30 s; after 5 minutes without one, that it is unchanged.

let saidAt = Date.now();
let toSay = "";

function speak(text) {
  saidAt = Date.now();
  toSay = "";
  say.textContent = text;
}

function speakWhenDue() {
  const since = Date.now() - saidAt;
  if (toSay && since >= SAY_EVERY) speak(toSay);
  else if (state === "waiting" && since >= STILL_EVERY) speak(words.still.replace("{num}", position));
}

// What is shown.

function showMinutes() {
  for (const element of page.querySelectorAll("[data-within]")) {
    const left = Math.max(1, Math.ceil((Date.parse(element.dataset.within) - serverNow()) / 60_000));
    const text = element.textContent.replace(/\d+/, left);
    if (text !== element.textContent) element.textContent = text;
  }
}

function apply(html) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  const focused = document.activeElement;
  for (const shown of fresh.content.querySelectorAll("[data-shown]")) {
    const old = page.querySelector(`[data-shown="${shown.dataset.shown}"]`);
    if (!old.firstElementChild) old.innerHTML = shown.innerHTML;
    old.hidden = shown.hidden;
  }
  for (const part of fresh.content.querySelectorAll("[data-part]")) {
    const old = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (part.dataset.is ? part.dataset.is === old.dataset.is : part.innerHTML === old.innerHTML) continue;
    old.innerHTML = part.innerHTML;
    if (part.dataset.is) old.dataset.is = part.dataset.is;
    old.querySelectorAll("[data-countdown]").forEach(follow);
  }
  if (focused?.isConnected === false || focused?.closest("[hidden]")) page.querySelector("h1:not([hidden] *)")?.focus();
}

/** Whether the patient is to do something now: a time is offered to them, or they are asked about one. */
function isTurn() {
  return state === "offered" || state === "called";
}

function isLive() {
  return isTurn() || state === "waiting";
}

/** While a time is offered the title counts down, since of a tab behind others only that is seen; and so does the ring. */
function countInTitle(title) {
  const timer = page.querySelector("#turn [data-countdown]");
  if (!timer) return;
  const ring = page.querySelector("#turn .left-of-it");
  countDown(Date.parse(timer.dataset.until), (left) => {
    if (!timer.isConnected) return;
    ring.setAttribute("stroke-dasharray", `${Math.min(60, left / 1000)} 60`);
    document.title = left > 0 ? (state === "called" ? words.call : words.turn).replace("{time}", minutes(left)) : title;
  });
}

function showConnected() {
  const hint = page.querySelector("#live-hint");
  if (hint) hint.hidden = isLost || isOver;
}

function show(update) {
  answeredAt = Date.now();
  if (isLost) {
    isLost = false;
    connection.textContent = "";
    speak(words.back);
  }
  if (update.html) {
    const before = state;
    ({ version, state } = update);
    position = update.position;
    apply(update.html);
    document.title = `${update.title} – HealthPlus`;
    button.classList.toggle("quiet", isTurn() || alerts !== null);
    if (isTurn()) countInTitle(document.title);
    if (state !== before) {
      if (isTurn()) ring();
      else hush();
      // Of a turn nothing: its band is an alert, and the number of before is to be read no more.
      if (state !== "waiting") speak(update.say);
    }
    if (state === "waiting" && update.say !== words.said) {
      toSay = words.said = update.say;
      setTimeout(speakWhenDue, Math.max(0, saidAt + SAY_EVERY - Date.now()));
    }
  }
  tellSeen();
  showConnected();
  showMinutes();
  speakWhenDue();
}

function lost() {
  if (isLost) return;
  isLost = true;
  connection.textContent = words.lost;
  showConnected();
}

function signedOut() {
  isOver = true;
  connection.textContent = words.signedOut;
  showConnected();
}

// Polling. Except after failures nothing here waits for a timer: in a hidden tab it may come a minute late.

let asking;
let endPause = () => {};
let turn = 0;
let isAsking = false;
let isToldHidden = false; // whether the poll under way said that nobody sees this page
let seenElsewhere = ""; // the version that another tab, a visible one, shows

function isSeen() {
  return !document.hidden || seenElsewhere === version;
}

/** Tell the tab that polls what this one shows to somebody. */
function tellSeen() {
  if (!document.hidden) channel.postMessage({ seen: version });
}

async function ask(after) {
  asking = new AbortController();
  const dead = setTimeout(() => asking.abort(), STALE_AFTER);
  const query = new URLSearchParams(after ? { after } : {});
  isToldHidden = !isSeen();
  if (isToldHidden) query.set("seen", "false");
  try {
    const answer = await fetch(`${words.updates}?${query}`, {
      signal: asking.signal,
      cache: "no-store",
    });
    if ([401, 403, 404].includes(answer.status)) return null;
    if (!answer.ok) throw new Error(answer.status);
    return await answer.json();
  } finally {
    clearTimeout(dead);
  }
}

async function keepAsking() {
  turn += 1;
  const mine = turn;
  isAsking = true;
  let failures = 0;
  while (mine === turn && !isOver && isLive()) {
    try {
      // A client that was away may have been passed over: ask for the whole state then.
      const update = await ask(isLost || Date.now() - answeredAt > STALE_AFTER ? "" : version);
      if (update === null) {
        channel.postMessage({ over: true });
        return signedOut();
      }
      show(update);
      channel.postMessage({ language, update });
      failures = update.reconnect ? failures + 1 : 0;
    } catch {
      if (mine !== turn) return;
      if (isToldHidden && isSeen()) continue; // it was ended to ask again, as a page that is seen
      failures += 1;
      if (failures > 1) {
        lost();
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
}

channel.onmessage = async ({ data }) => {
  if (data.seen) {
    seenElsewhere = data.seen;
    if (isToldHidden && isSeen()) asking?.abort();
  } else if (data.over) signedOut();
  else if (data.lost) lost();
  else if (!data.update.html || data.language === language) show(data.update);
  else show((await ask("").catch(() => null)) ?? {});
};

/** Poll when it is this tab's turn; only one tab of a browser polls at a time. */
function queueUp(options = {}) {
  if (!navigator.locks) return keepAsking();
  return navigator.locks.request(`ticket-${words.ticket}`, options, keepAsking).catch(() => {
    turn += 1; // another tab has taken over
    isAsking = false;
    asking?.abort();
    queueUp();
  });
}

/** Phones put hidden tabs to sleep: one that no longer polls must not keep a visible one from it. */
function takeOver() {
  if (!document.hidden && !isAsking && Date.now() - answeredAt > STALE_AFTER) queueUp({ steal: true });
}

/** After sleep, or when the network is back, a request from before may never be answered. */
function wake() {
  if (document.hidden) return;
  endPause();
  if (isLost || isToldHidden || Date.now() - answeredAt > STALE_AFTER) asking?.abort();
  tellSeen();
  takeOver();
  showMinutes();
}
document.addEventListener("visibilitychange", wake);
addEventListener("pageshow", wake);
addEventListener("online", wake);
addEventListener("offline", lost);

// "Alert me": browsers allow sound, vibration and a screen that stays on only after a tap.

let alerts = null; // the sound's context while they are on
let stayingOn = null;

async function stayOn() {
  if (alerts && !document.hidden) stayingOn = await navigator.wakeLock?.request("screen").catch(() => null);
}
document.addEventListener("visibilitychange", stayOn);

function beep(at) {
  const tone = alerts.createOscillator();
  const volume = alerts.createGain();
  tone.frequency.value = 880;
  volume.gain.setValueAtTime(0.3, at);
  volume.gain.exponentialRampToValueAtTime(0.001, at + 0.25);
  tone.connect(volume).connect(alerts.destination);
  tone.start(at);
  tone.stop(at + 0.25);
}

function ring() {
  if (!alerts) return;
  alerts.resume();
  for (let second = 0; second < 15; second += 3) {
    for (let beat = 0; beat < 3; beat += 1) beep(alerts.currentTime + second + beat * 0.35);
  }
  navigator.vibrate?.([400, 200, 400, 200, 400]);
}

function hush() {
  alerts?.suspend();
  navigator.vibrate?.(0);
}

const buttonLabel = button.querySelector("span");
const buttonText = buttonLabel.textContent;
button.addEventListener("click", () => {
  if (alerts) {
    alerts.close();
    alerts = null;
    stayingOn?.release();
  } else {
    alerts = new AudioContext();
    beep(alerts.currentTime); // a sample of the sound to come
    stayOn();
  }
  buttonLabel.textContent = alerts ? words.on : buttonText;
  button.classList.toggle("quiet", alerts !== null || isTurn());
});

connection.dataset.offline = words.lost;
showConnected();
countInTitle(document.title);
setInterval(() => {
  showMinutes();
  takeOver();
}, 15_000);
tellSeen();
queueUp();
