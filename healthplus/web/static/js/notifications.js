// Has this device show notices, or stops it: the browser's push service is asked, and we are told where to send them.
const say = document.getElementById("device").dataset;
const button = document.getElementById("push");
const said = document.getElementById("push-said");
let isOn = false;

function show(on, text = "") {
  isOn = on;
  button.lastElementChild.textContent = on ? say.off : say.on;
  button.setAttribute("aria-disabled", "false");
  said.textContent = text;
}

async function tell(address, fields) {
  const answer = await fetch(address, { method: "POST", body: new URLSearchParams(fields), redirect: "error" });
  if (!answer.ok) throw new Error(String(answer.status));
}

// Base64 as keys are written in addresses, which browsers do not read themselves.
const bytesOf = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

async function start({ pushManager }) {
  if ((await Notification.requestPermission()) !== "granted") {
    show(false, say.blocked);
    return;
  }
  const { endpoint, keys } = (await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytesOf(say.key) })).toJSON();
  await tell(say.add, { endpoint, p256dh: keys.p256dh, auth: keys.auth });
  show(true, say.done);
}

async function stop({ pushManager }) {
  const found = await pushManager.getSubscription();
  if (found) {
    await tell(say.remove, { endpoint: found.endpoint });
    await found.unsubscribe();
  }
  show(false, say.ended);
}

async function offer() {
  const registration = await navigator.serviceWorker.register("/push.js");
  const found = await registration.pushManager.getSubscription();
  // It may be of somebody else who used this browser, or of a session that has ended.
  show(found !== null && say.known.split(" ").includes(found.endpoint));
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    (isOn ? stop : start)(registration).catch(() => show(isOn, say.failed));
  });
}

if ("serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis) {
  offer().catch(() => {
    said.textContent = say.failed;
  });
} else {
  said.textContent = say.cannot;
}
