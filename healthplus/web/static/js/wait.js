// Keeps the page of a wait up to date: one tab asks and tells the others. It never leads to another page by itself.
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
const channel = new BroadcastChannel(`wait-${words.ticket}`);

let { version, state } = words;
let position = words.position;
let heardAt = Date.now();
let isLost = false;
let isOver = false;

// What is read aloud: changes of the number at most every 30 s, and now and then that there is none.

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

/** While a time is offered the title counts down: it is what shows of a tab behind others. */
function countInTitle(title) {
  const timer = page.querySelector("#turn [data-countdown]");
  if (!timer) return;
  countDown(Date.parse(timer.dataset.until), (left) => {
    if (!timer.isConnected) return;
    document.title = left > 0 ? words.turn.replace("{time}", minutes(left)) : title;
  });
}

function showConnected() {
  const hint = page.querySelector("#live-hint");
  if (hint) hint.hidden = isLost || isOver;
}

function heard(news) {
  heardAt = Date.now();
  if (isLost) {
    isLost = false;
    connection.textContent = "";
    speak(words.back);
  }
  if (news.html) {
    const before = state;
    ({ version, state } = news);
    position = news.position;
    apply(news.html);
    document.title = `${news.title} – HealthPlus`;
    button.classList.toggle("quiet", state === "offered" || alerts !== null);
    if (state === "offered") countInTitle(document.title);
    if (state !== before) {
      if (state === "offered") ring();
      else hush();
      if (state !== "waiting" && state !== "offered") speak(news.say);
    }
    if (state === "waiting" && news.say !== words.said) {
      toSay = words.said = news.say;
      setTimeout(speakWhenDue, Math.max(0, saidAt + SAY_EVERY - Date.now()));
    }
  }
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

// Asking. Nothing here waits for a timer of a hidden tab, which may come a minute late, except after failures.

let asking;
let endPause = () => {};
let turn = 0;
let isAsking = false;

async function ask(after) {
  asking = new AbortController();
  const dead = setTimeout(() => asking.abort(), STALE_AFTER);
  try {
    const answer = await fetch(after ? `${words.news}?after=${after}` : words.news, {
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
  while (mine === turn && !isOver && (state === "waiting" || state === "offered")) {
    try {
      // Whoever was away may have been passed over: all of it is asked for then.
      const news = await ask(isLost || Date.now() - heardAt > STALE_AFTER ? "" : version);
      if (news === null) {
        channel.postMessage({ over: true });
        return signedOut();
      }
      heard(news);
      channel.postMessage({ language, news });
      failures = news.reconnect ? failures + 1 : 0;
    } catch {
      if (mine !== turn) return;
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
  if (data.over) signedOut();
  else if (data.lost) lost();
  else if (!data.news.html || data.language === language) heard(data.news);
  else heard((await ask("").catch(() => null)) ?? {});
};

/** Ask when it is this tab's turn; only one tab of a browser asks at a time. */
function queueUp(options = {}) {
  if (!navigator.locks) return keepAsking();
  return navigator.locks.request(`wait-${words.ticket}`, options, keepAsking).catch(() => {
    turn += 1; // another tab has taken over
    isAsking = false;
    asking?.abort();
    queueUp();
  });
}

/** Phones put tabs behind others to sleep: one that asks no more, and is not seen, must not keep the one that is. */
function takeOver() {
  if (!document.hidden && !isAsking && Date.now() - heardAt > STALE_AFTER) queueUp({ steal: true });
}

/** After sleep, or when the network is back, what was asked before may never be answered. */
function wake() {
  if (document.hidden) return;
  endPause();
  if (isLost || Date.now() - heardAt > STALE_AFTER) asking?.abort();
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

const buttonText = button.textContent;
button.hidden = false;
button.addEventListener("click", () => {
  if (alerts) {
    alerts.close();
    alerts = null;
    stayingOn?.release();
  } else {
    alerts = new AudioContext();
    beep(alerts.currentTime); // so that it is heard what will be heard
    stayOn();
  }
  button.textContent = alerts ? words.on : buttonText;
  button.classList.toggle("quiet", alerts !== null || state === "offered");
});

connection.dataset.offline = words.lost;
showConnected();
countInTitle(document.title);
setInterval(() => {
  showMinutes();
  takeOver();
}, 15_000);
queueUp();
