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

for (const box of document.querySelectorAll("input[data-shows]")) {
  box.addEventListener("change", () => {
    document.getElementById(box.dataset.shows).type = box.checked ? "text" : "password";
  });
}

const { locked, lockSeconds, seen, here, whose } = document.body.dataset;

// What was typed and not sent is kept in this tab while the screen is locked, and ends when somebody else logs in.
const DRAFT = "draft";
const typed = () =>
  [...document.querySelectorAll("main form[method=post] :is(input, select, textarea)[name]")].filter(
    ({ type }) => !["hidden", "password", "file", "submit"].includes(type),
  );
const stateOf = (field) => (["checkbox", "radio"].includes(field.type) ? field.checked : field.value);
const keepDraft = () => {
  const values = typed().map((field) => [field.name, stateOf(field)]);
  sessionStorage.setItem(DRAFT, JSON.stringify({ here, whose, values }));
};
const bringDraftBack = () => {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? "null");
  if (!draft || (draft.whose === whose && draft.here !== here)) return;
  sessionStorage.removeItem(DRAFT);
  const fields = typed();
  if (draft.whose !== whose || draft.values.length !== fields.length) return;
  for (const [place, field] of fields.entries()) {
    const [name, state] = draft.values[place];
    if (name !== field.name || state === stateOf(field)) continue;
    if (typeof state === "boolean") field.checked = state;
    else field.value = state;
    const fold = field.closest("details");
    if (fold) fold.open = true;
  }
};

// Once one tab is locked or logged out, the others show nothing either.
const tabs = new BroadcastChannel("desk");
if (!locked) tabs.postMessage("over");
if (!locked && !document.querySelector("[data-keeps-draft]")) sessionStorage.removeItem(DRAFT);

if (locked) {
  const leave = () => {
    keepDraft();
    location.replace(`${locked}?next=${encodeURIComponent(here)}`);
  };
  tabs.addEventListener("message", leave);
  document.querySelector("form[action*='/desk/lock?']")?.addEventListener("submit", keepDraft);
  bringDraftBack();
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
    if (Date.now() - last >= lockSeconds * 1000) leave();
  };
  setInterval(lock, 5_000);
  document.addEventListener("visibilitychange", lock); // the computer slept
}

// A page of keys that does not say where focus begins has it on what the page is about: Tab goes on from there.
if (document.activeElement === document.body && document.querySelector("[data-page-key]")) {
  const begins = document.querySelector("[autofocus]") ?? document.getElementById(location.hash.slice(1));
  if (!begins) document.querySelector("main").focus({ preventScroll: true });
}

// A file that is too large is not sent at all.
for (const input of document.querySelectorAll("input[type=file][data-too-large]")) {
  input.addEventListener("change", () => {
    const most = Number(input.dataset.most);
    input.setCustomValidity(input.files[0]?.size > most ? input.dataset.tooLarge : "");
    input.reportValidity();
  });
}
