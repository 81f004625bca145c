// "Alert me": sound, vibration and a screen that stays on, which browsers allow only after a tap. Asked for once, it is so on
// every page of this tab.
let sound = null; // its context while alerts are on
let stayingOn = null;

async function stayOn() {
  if (sound && !document.hidden) stayingOn = await navigator.wakeLock?.request("screen").catch(() => null);
}
document.addEventListener("visibilitychange", stayOn);

function beep(at) {
  const tone = sound.createOscillator();
  const volume = sound.createGain();
  tone.frequency.value = 880;
  volume.gain.setValueAtTime(0.3, at);
  volume.gain.exponentialRampToValueAtTime(0.001, at + 0.25);
  tone.connect(volume).connect(sound.destination);
  tone.start(at);
  tone.stop(at + 0.25);
}

export function areOn() {
  return sound !== null;
}

export function turnOff() {
  sessionStorage.removeItem("alerts");
  sound.close();
  sound = null;
  stayingOn?.release();
}

export function turnOn() {
  sessionStorage.setItem("alerts", "on");
  sound = new AudioContext();
  stayOn();
  return sound;
}

/** Let the sound to come be heard. */
export function sample() {
  beep(turnOn().currentTime);
}

export function ring() {
  if (!sound) return;
  sound.resume();
  for (let second = 0; second < 15; second += 3) {
    for (let beat = 0; beat < 3; beat += 1) beep(sound.currentTime + second + beat * 0.35);
  }
  navigator.vibrate?.([400, 200, 400, 200, 400]);
}

export function hush() {
  sound?.suspend();
  navigator.vibrate?.(0);
}

if (sessionStorage.getItem("alerts")) turnOn();
