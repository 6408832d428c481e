// Rich text blocks: runs with a style, lists, quotes and code. https://docs.slack.dev/reference/block-kit/blocks/rich-text-block

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { broadcast, channel, link, person } from "./mrkdwn.js";
import { dated } from "./times.js";

export function richText(block, env) {
  return h("div", { class: "rich" }, (block.elements ?? []).map((element) => part(element, env)));
}

function part(element, env) {
  const inner = () => (element.elements ?? []).map((each) => run(each, env));
  switch (element.type) {
    case "rich_text_section": return h("div", {}, inner());
    case "rich_text_quote": return h("blockquote", {}, inner());
    case "rich_text_preformatted": return h("pre", {}, inner());
    case "rich_text_list": return list(element, env);
    default: return run(element, env);
  }
}

function list(element, env) {
  const tag = element.style === "ordered" ? "ol" : "ul";
  const items = (element.elements ?? []).map((each) => h("li", {}, part(each, env)));
  return h(tag, { class: `indent-${Math.min(element.indent ?? 0, 6)}`, start: element.offset ? element.offset + 1 : null }, items);
}

const RUNS = {
  text: (run) => run.text,
  link: (run, env) => link(run.url, run.text ?? null, env),
  user: (run, env) => person(run.user_id, null, env),
  usergroup: (run, env) => h("span", { class: "mention" }, `@${env.group(run.usergroup_id) ?? "group"}`),
  channel: (run, env) => channel(run.channel_id, null, env),
  broadcast: (run) => broadcast(run.range),
  emoji: (run) => emoji(run.name) ?? `:${run.name}:`,
  date: (run, env) => h("time", {}, dated(run.timestamp, run.format, env)),
  color: (run) => h("code", {}, run.value),
};

function run(element, env) {
  const draw = RUNS[element.type];
  let node = draw ? draw(element, env) : String(element.text ?? "");
  const style = element.style ?? {};
  for (const [name, tag] of [["code", "code"], ["strike", "s"], ["italic", "em"], ["bold", "strong"]]) {
    if (style[name]) node = h(tag, {}, node);
  }
  return node;
}
