// Has this device show notices, or stops it: the browser's push service is asked, and we are told where to send them.
const device = document.getElementById("device");
const on = document.getElementById("push-on");
const off = document.getElementById("push-off");
const said = document.getElementById("push-said");
const say = device.dataset;

function show(isOn) {
  on.hidden = isOn;
  off.hidden = !isOn;
}

async function tell(address, fields) {
  const answer = await fetch(address, { method: "POST", body: new URLSearchParams(fields), redirect: "error" });
  if (!answer.ok) throw new Error(String(answer.status));
}

// Base64 as keys are written in addresses, which browsers do not read themselves.
const bytesOf = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

async function start(registration) {
  if ((await Notification.requestPermission()) !== "granted") {
    said.textContent = say.blocked;
    return;
  }
  const found = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytesOf(say.key) });
  const { endpoint, keys } = found.toJSON();
  await tell(say.on, { endpoint, p256dh: keys.p256dh, auth: keys.auth });
  show(true);
  off.focus();
  said.textContent = say.done;
}

async function stop(registration) {
  const found = await registration.pushManager.getSubscription();
  if (found) {
    await tell(say.off, { endpoint: found.endpoint });
    await found.unsubscribe();
  }
  show(false);
  on.focus();
  said.textContent = say.ended;
}

async function offer() {
  const registration = await navigator.serviceWorker.register("/push.js");
  const found = await registration.pushManager.getSubscription();
  // Of somebody else who used this browser, perhaps, or of a session that has ended: it is this patient's only once they say so.
  show(found !== null && device.dataset.known.split(" ").includes(found.endpoint));
  device.hidden = false;
  const press = (act) => () => act(registration).catch(() => {
    said.textContent = say.failed;
  });
  on.addEventListener("click", press(start));
  off.addEventListener("click", press(stop));
}

if ("serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis) await offer();
