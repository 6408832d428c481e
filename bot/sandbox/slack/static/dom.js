// Building and keeping DOM nodes: text only ever becomes a text node, and what did not change stays where it is.

const AS_PROPERTY = new Set(["value", "checked", "disabled", "hidden", "open", "required", "readOnly", "htmlFor"]);

/** An element; `on` holds listeners, null and false attributes are left out, strings become text. */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [kind, listener] of Object.entries(value)) node.addEventListener(kind, listener);
    else if (AS_PROPERTY.has(name)) node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function button(label, props, ...children) {
  return h("button", { type: "button", ...props }, ...(children.length ? children : [label]));
}

const kept = new WeakMap();

/** Make the parent's children those of `items` ({key, sign, make}); a node whose sign is the same is not touched. */
export function reconcile(parent, items) {
  const before = kept.get(parent) ?? new Map();
  const now = new Map();
  for (const { key, sign, make } of items) {
    const old = before.get(key);
    now.set(key, old && old.sign === sign ? old : { sign, node: make() });
  }
  for (const [key, old] of before) if (now.get(key)?.node !== old.node) old.node.remove();
  let place = parent.firstChild;
  for (const { node } of now.values()) {
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  kept.set(parent, now);
}

/** Draw again, and put the cursor back where it was: into the element with the same data-field. */
export function keepingFocus(root, draw) {
  const active = document.activeElement;
  const field = root.contains(active) ? active.dataset.field : null;
  const range = field && "selectionStart" in active ? [active.selectionStart, active.selectionEnd] : null;
  draw();
  if (!field || root.contains(active)) return;
  const again = root.querySelector(`[data-field="${CSS.escape(field)}"]`);
  again?.focus({ preventScroll: true });
  if (again && range && range[0] !== null) again.setSelectionRange?.(...range);
}

export function avatar(person, size = "") {
  if (person.kind === "bot") return h("img", { class: `avatar ${size}`, src: "/static/gatehouse.svg", alt: "" });
  const initials = person.name.split(/\s+/).map((word) => [...word][0] ?? "").slice(0, 2).join("").toUpperCase();
  const tone = [...person.id].reduce((sum, sign) => (sum * 31 + sign.codePointAt(0)) % 8, 0);
  return h("span", { class: `avatar tone-${tone} ${size}`, "aria-hidden": "true" }, initials || "?");
}

/** A small menu below a button; closes on a choice, on Escape and on a click elsewhere. */
export function openMenu(anchor, label, entries) {
  document.querySelectorAll(".menu").forEach((menu) => menu.remove());
  const close = () => {
    menu.remove();
    document.removeEventListener("pointerdown", elsewhere, true);
    anchor.setAttribute("aria-expanded", "false");
  };
  const elsewhere = (event) => menu.contains(event.target) || close();
  const choose = (run) => () => { close(); run(); };
  const menu = h("div", { class: "menu", role: "menu", "aria-label": label, on: { keydown: (event) => onKey(event) } },
    entries.map(({ text, run }) => button(text, { role: "menuitem", on: { click: choose(run) } })));
  function onKey(event) {
    const items = [...menu.children];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
    if (event.key === "Escape") { close(); anchor.focus(); }
    if (step || event.key === "Escape") { event.preventDefault(); event.stopPropagation(); }
  }
  anchor.parentElement.append(menu);
  anchor.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", elsewhere, true);
  menu.firstElementChild?.focus();
  menu.scrollIntoView({ block: "nearest" });
}

let numbers = 0;
export const unique = (name) => `${name}-${++numbers}`;
