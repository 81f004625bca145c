// Search: where this device is, and suggestions while a need is typed. Without scripts the form does.

const button = document.getElementById("near-me");
const form = document.getElementById("find");

if (button && "geolocation" in navigator) {
  const said = document.getElementById("near-said");
  button.hidden = false;
  button.addEventListener("click", () => {
    said.textContent = button.dataset.busy;
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        said.textContent = "";
        let near = form.elements.near;
        if (!near) {
          near = document.createElement("input");
          near.type = "hidden";
          near.name = "near";
          form.append(near);
        }
        // Three decimals are some hundred metres: enough to be near, too little to tell a house.
        near.value = `${coords.latitude.toFixed(3)},${coords.longitude.toFixed(3)}`;
        form.elements.place.value = "";
        form.requestSubmit();
      },
      () => {
        said.textContent = said.dataset.refused;
        form.elements.place.focus();
      },
      { timeout: 10_000, maximumAge: 300_000 },
    );
  });
}

const need = document.getElementById("need");
if (need?.dataset.suggest) complete(need);

// A combobox as the ARIA Authoring Practices have it: what is typed is searched for unless an entry is chosen.
function complete(input) {
  const { list, told } = addList(input);
  let timer;
  let asked;
  let chosen;
  close();

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 150);
  });
  input.addEventListener("blur", close);
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
  list.addEventListener("click", (event) => choose(event.target.closest("li")));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    } else if (["ArrowDown", "ArrowUp"].includes(event.key) && list.childElementCount) {
      event.preventDefault();
      open();
      const count = list.childElementCount;
      mark(chosen < 0 && event.key === "ArrowUp" ? count - 1 : (chosen + (event.key === "ArrowDown" ? 1 : count - 1)) % count);
    } else if (event.key === "Enter" && !list.hidden && chosen >= 0) {
      event.preventDefault();
      choose(list.children[chosen]);
    }
  });

  async function ask() {
    asked?.abort();
    asked = new AbortController();
    const typed = input.value.trim();
    let found = [];
    if (typed.length > 1) {
      try {
        const answer = await fetch(`${input.dataset.suggest}&q=${encodeURIComponent(typed)}`, { signal: asked.signal });
        if (answer.ok) found = await answer.json();
      } catch {
        return; // another letter was typed, or the network is gone
      }
    }
    close();
    list.replaceChildren(...found.map((one, number) => entry(input, one, number)));
    if (list.childElementCount && document.activeElement === input) open();
    told.textContent = input.dataset.count.replace("{count}", list.childElementCount);
  }

  function mark(number) {
    list.children[chosen]?.removeAttribute("aria-selected");
    chosen = number;
    list.children[chosen].setAttribute("aria-selected", "true");
    list.children[chosen].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", list.children[chosen].id);
  }

  function choose(item) {
    if (!item) return;
    close();
    if (item.dataset.href) location.assign(item.dataset.href);
    else input.value = item.dataset.text;
  }

  function open() {
    if (!list.hidden) return;
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
  }

  function close() {
    chosen = -1;
    list.hidden = true;
    for (const item of list.children) item.removeAttribute("aria-selected");
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }
}

// The list of what a field may become, and what says aloud how many entries it has.
function addList(input) {
  const list = document.createElement("ul");
  list.id = "need-list";
  list.className = "suggestions";
  list.role = "listbox";
  list.hidden = true;
  list.setAttribute("aria-label", input.labels[0].textContent);
  const told = document.createElement("p");
  told.className = "hidden-text";
  told.role = "status";
  input.after(list, told);
  input.removeAttribute("list");
  input.role = "combobox";
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  return { list, told };
}

function entry(input, one, number) {
  const item = document.createElement("li");
  item.id = `need-${number}`;
  item.role = "option";
  if (/^[ -~]*$/.test(one.text)) item.lang = "en";
  item.dataset.text = one.text;
  if (one.provider_id) item.dataset.href = `${input.dataset.doctor}${one.provider_id}`;
  if (one.kind === "city") item.dataset.href = `${input.dataset.city}${one.city}`;
  if (one.clinic_id) item.dataset.href = `${input.dataset.clinic}${one.clinic_id}`;
  item.append(one.text);
  const details = [one.matched, ...(one.details ?? [])].filter(Boolean).join(", ");
  if (details) {
    const more = document.createElement("span");
    more.textContent = ` ${details}`;
    item.append(more);
  }
  return item;
}
