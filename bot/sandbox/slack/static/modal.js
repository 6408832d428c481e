// Modals of the bot, its confirm dialogs, and the Home tab: views on a surface of their own.

import { blocks } from "./blocks.js";
import { avatar, button, h, keepingFocus } from "./dom.js";
import { plain, words } from "./elements.js";
import { complaints } from "./messages.js";

let shown = null; // {id, sign, dialog, body}

/** Show the modal on top of the person's stack, or none; what was typed stays through updates. */
export function drawModal(view, app) {
  if (!view) return leave();
  const sign = JSON.stringify([app.as, view]);
  if (shown?.sign === sign) return;
  if (!shown || shown.id !== view.id) return enter(view, sign, app);
  const scrolled = shown.body.scrollTop;
  shown.sign = sign;
  keepingFocus(shown.dialog, () => fill(view, app));
  shown.body.scrollTop = scrolled;
  if (Object.keys(view.errors).length) shown.dialog.querySelector(".invalid")?.focus();
}

function leave() {
  shown?.dialog.close();
  shown?.dialog.remove();
  shown = null;
}

function enter(view, sign, app) {
  leave();
  const dialog = h("dialog", { class: "modal", "aria-labelledby": "modal-title" });
  shown = { id: view.id, sign, dialog, body: h("div", { class: "modal-body" }) };
  fill(view, app);
  document.body.append(dialog);
  dialog.showModal();
  (dialog.querySelector(".modal-body :is(input, textarea)") ?? dialog.querySelector("footer button"))?.focus();
}

function fill(view, app) {
  const { dialog, body } = shown;
  const close = (all) => app.act("close_view", { view_id: view.id, all });
  dialog.onkeydown = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    close(false);
  };
  dialog.oncancel = (event) => { event.preventDefault(); close(false); };
  const title = h("header", {}, avatar({ kind: "bot" }, "small"), h("h2", { id: "modal-title" }, plain(view.title)),
    button("×", { class: "plain", "aria-label": "Close this window", on: { click: () => close(true) } }));
  body.replaceChildren(
    ...[view.trouble ? h("p", { class: "complaint", role: "alert" }, view.trouble) : null, complaints(view.complaints)].filter(Boolean),
    ...blocks(view.blocks, app.surfaceOfView(view)));
  const submit = view.submit ? h("button", { type: "submit", class: "button primary" }, plain(view.submit)) : null;
  const footer = h("footer", {}, button(plain(view.close) || "Close", { class: "button", on: { click: () => close(false) } }), submit);
  const send = (event) => {
    event.preventDefault();
    app.act("submit", { view_id: view.id, values: app.surfaceOfView(view).values }, submit);
  };
  dialog.replaceChildren(h("form", { novalidate: true, on: { submit: send } }, title, body, footer));
}

/** The confirm dialog of a button: true when the person goes on. */
export function confirmed(confirm, env) {
  return new Promise((settle) => {
    const done = (answer) => () => { dialog.close(); dialog.remove(); settle(answer); };
    const style = confirm.style === "danger" ? "danger" : "primary";
    const dialog = h("dialog", { class: "modal confirm", role: "alertdialog", "aria-labelledby": "confirm-title", on: { cancel: done(false) } },
      h("header", {}, h("h2", { id: "confirm-title" }, plain(confirm.title))),
      h("div", { class: "modal-body" }, words(confirm.text, env)),
      h("footer", {}, button(plain(confirm.deny), { class: "button", on: { click: done(false) } }),
        button(plain(confirm.confirm), { class: `button ${style}`, on: { click: done(true) } })));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** The bot's Home tab. */
export function drawHome(root, view, app) {
  const sign = JSON.stringify([app.as, view, app.peopleVersion]);
  if (root.dataset.sign === sign) return;
  root.dataset.sign = sign;
  const empty = h("p", { class: "nothing" }, "Gatehouse has put nothing into its Home tab yet.");
  keepingFocus(root, () => root.replaceChildren(...(view
    ? [complaints(view.complaints), ...blocks(view.blocks, app.surfaceOfView(view))].filter(Boolean)
    : [empty])));
}
