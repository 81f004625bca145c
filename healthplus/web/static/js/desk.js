// Passkeys, and the lock of a screen at which nothing is done.
const NOTE_EVERY = 60_000;

for (const button of document.querySelectorAll("button[data-passkey]")) {
  const said = button.parentElement.querySelector("[data-failed]");
  button.addEventListener("click", async () => {
    said.textContent = "";
    try {
      const question = JSON.parse(button.dataset.question);
      const credential =
        button.dataset.passkey === "new"
          ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(question) })
          : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(question) });
      button.form.elements.namedItem("answer").value = JSON.stringify(credential.toJSON());
    } catch {
      said.textContent = said.dataset.failed; // given up, or a browser that cannot
      return;
    }
    button.form.submit();
  });
}

const { locked, lockSeconds, seen } = document.body.dataset;
if (locked) {
  let last = Date.now();
  let noted = last;
  const note = () => {
    last = Date.now();
    if (last - noted < NOTE_EVERY) return;
    noted = last;
    fetch(seen, { method: "POST" }).catch(() => {}); // the next one may get through
  };
  for (const kind of ["keydown", "pointerdown", "wheel"]) addEventListener(kind, note, { capture: true, passive: true });
  const lock = () => {
    if (Date.now() - last >= lockSeconds * 1000) location.assign(`${locked}?next=${encodeURIComponent(location.pathname)}`);
  };
  setInterval(lock, 5_000);
  document.addEventListener("visibilitychange", lock); // the computer slept
}

// A file that is too large is not sent at all.
for (const input of document.querySelectorAll("input[type=file][data-too-large]")) {
  input.addEventListener("change", () => {
    const most = Number(input.dataset.most);
    input.setCustomValidity(input.files[0]?.size > most ? input.dataset.tooLarge : "");
    input.reportValidity();
  });
}
