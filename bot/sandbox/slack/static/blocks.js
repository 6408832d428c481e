// Block Kit as DOM nodes. https://docs.slack.dev/reference/block-kit/blocks

import { h, unique } from "./dom.js";
import { element, plain, words } from "./elements.js";
import { mrkdwn } from "./mrkdwn.js";
import { richText } from "./richtext.js";

/** Every block of a message or view on its surface (see elements.js). */
export function blocks(list, surface) {
  return (list ?? []).map((block) => {
    const draw = DRAWN[block.type];
    return draw ? draw(block, surface) : unknown(block);
  });
}

function unknown(block) {
  return h("p", { class: "unknown" }, `A block of type “${block.type}”, which this local Slack does not draw.`);
}

function section(block, { env, ...rest }) {
  const fields = block.fields ? h("div", { class: "fields" }, block.fields.map((field) => h("div", {}, words(field, env)))) : null;
  const text = h("div", { class: "text" }, block.text ? h("div", {}, words(block.text, env)) : null, fields);
  const accessory = block.accessory ? h("div", { class: "accessory" }, inside(block.accessory, block, { env, ...rest })) : null;
  return h("div", { class: "block section" }, text, accessory);
}

/** An image is named, not fetched: the page loads nothing from outside. */
function image(part) {
  return h("span", { class: "picture", role: "img", "aria-label": part.alt_text }, `🖼 ${part.alt_text ?? ""}`);
}

function inside(part, block, surface) {
  if (part.type === "image") return image(part);
  if (part.type === "mrkdwn" || part.type === "plain_text") return h("span", {}, words(part, surface.env));
  return element(part, block, surface);
}

function input(block, surface) {
  const id = unique("input");
  const error = surface.errors?.[block.block_id];
  const describedby = `${error ? `${id}-error ` : ""}${block.hint ? `${id}-hint` : ""}`.trim() || null;
  const own = { ...surface, idOf: () => id, describedby: () => describedby };
  return h("div", { class: "block input" },
    h("label", { htmlFor: id, class: "label" }, plain(block.label), block.optional ? h("span", { class: "optional" }, " (optional)") : null),
    element(block.element, block, own),
    error ? h("p", { class: "error", id: `${id}-error`, role: "alert" }, error) : null,
    block.hint ? h("p", { class: "hint", id: `${id}-hint` }, plain(block.hint)) : null);
}

function table(block, surface) {
  const cell = (part, tag) => h(tag, {}, part.type === "rich_text" ? richText(part, surface.env) : part.text ?? "");
  const [head, ...rows] = block.rows ?? [];
  return h("div", { class: "block scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, (head ?? []).map((part) => cell(part, "th")))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((part) => cell(part, "td")))))));
}

/** Only what Slack's markdown shares with mrkdwn, and its bold, headings and bullets. */
function markdown(block, surface) {
  const lines = String(block.text).split("\n").map((line) => line
    .replace(/^#{1,6}\s+(.*)$/, "*$1*").replace(/\*\*(.+?)\*\*/g, "*$1*").replace(/^(\s*)[-*]\s+/, "$1• "));
  return h("div", { class: "block" }, mrkdwn(lines.join("\n"), surface.env));
}

const DRAWN = {
  section,
  input,
  table,
  markdown,
  header: (block) => h("h3", { class: "block" }, plain(block.text)),
  divider: () => h("hr", { class: "block" }),
  image: (block) => h("div", { class: "block" }, block.title ? h("div", { class: "hint" }, plain(block.title)) : null, image(block)),
  context: (block, surface) => h("div", { class: "block context" }, block.elements.map((part) => inside(part, block, surface))),
  actions: (block, surface) => h("div", { class: "block actions" }, block.elements.map((part) => inside(part, block, surface))),
  rich_text: (block, surface) => h("div", { class: "block" }, richText(block, surface.env)),
  alert: (block, surface) => h("div", { class: `block alert ${block.level ?? ""}`, role: "note" }, words(block.text, surface.env)),
};
