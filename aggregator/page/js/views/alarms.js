// Alarms: what stands, the most urgent first; acknowledge, shelve with an end, several at once; and the journal.

import { get, may, OPERATORS, send } from "../api.js";
import { ask, el, put, say, scroll, table } from "../dom.js";
import { moment, named, number, t } from "../words.js";

export async function show(main, shared) {
  const chosen = new Set();
  let all = false;
  const list = scroll(t("view.alarms")), journal = scroll(t("alarms.journal")), acts = el("div", { class: "row" });
  const id = (one) => `${one.asset}\n${one.condition}`;

  async function act(what, more = {}) {
    const alarms = [...chosen].map((one) => { const [asset, condition] = one.split("\n"); return { asset, condition }; });
    try {
      const { answers } = await send("POST", `/alarms/${what}`, { alarms, ...more });
      const wrong = answers.filter((one) => one.wrong);
      if (wrong.length) shared.problem(new Error(wrong.map((one) => `${one.asset} ${one.condition} ${one.wrong}`).join("\n")));
      say(t("alarms.done", { count: answers.length - wrong.length }));
      chosen.clear();
      setTimeout(load, 1300); // the server does it within a second
    } catch (error) { shared.problem(error); }
  }

  async function shelve() {
    const told = await ask(t("alarms.shelve"), [{ name: "why", label: t("why"), required: true }, { name: "hours", label: t("alarms.hours"), type: "number", value: "2", min: "1", max: "24", required: true }], { yes: t("alarms.shelve"), no: t("cancel") });
    if (told) act("shelve", { why: told.why, until: new Date(Date.now() + Number(told.hours) * 3600e3 - 1000).toISOString() });
  }

  function drawActs() {
    const none = chosen.size === 0;
    put(acts, el("label", { class: "row" }, el("input", { type: "checkbox", checked: all, onchange: (event) => { all = event.target.checked; load(); } }), t("alarms.all")), el("span", { class: "grow" }),
      may(...OPERATORS) ? [el("button", { class: "main", disabled: none, onclick: () => act("acknowledge") }, t("alarms.acknowledge", { count: chosen.size })),
        el("button", { disabled: none, onclick: shelve }, t("alarms.shelve")), el("button", { disabled: none, onclick: () => act("unshelve") }, t("alarms.unshelve"))] : null);
  }

  async function load() {
    const [found, told] = await Promise.all([get("/alarms", { state: all ? "all" : "" }), get("/alarms/journal", { limit: 100 })]);
    put(list, found.items.length ? table([
      { name: "", of: (one) => el("input", { type: "checkbox", "aria-label": `${one.asset} ${one.condition}`, checked: chosen.has(id(one)), onchange: (event) => { event.target.checked ? chosen.add(id(one)) : chosen.delete(id(one)); drawActs(); } }) },
      { name: t("alarms.priority"), of: (one) => el("span", { class: `tag p${one.priority}` }, `${"▲●◆▽"[one.priority - 1] ?? ""} ${t(`priority.${one.priority}`)}`) },
      { name: t("asset"), of: (one) => (one.place ? el("a", { href: `/?asset=${encodeURIComponent(one.place)}` }, one.asset) : one.asset) },
      { name: t("alarms.condition"), of: (one) => named("condition", one.condition) },
      { name: t("alarms.state"), of: (one) => named("state", one.state) },
      { name: t("alarms.since"), of: (one) => moment(one.since) },
      { name: t("value"), number: true, of: (one) => number(one.value) },
      { name: t("alarms.limit"), number: true, of: (one) => number(one.limit) },
      { name: t("why"), of: (one) => [one.why, el("div", { class: "soft" }, one.action)] },
    ], found.items, { label: t("view.alarms") }) : el("p", { class: "soft" }, t("alarms.none")));
    put(journal, told.items.length ? table([
      { name: t("at"), of: (one) => moment(one.at) }, { name: t("asset"), of: (one) => one.asset }, { name: t("alarms.condition"), of: (one) => named("condition", one.condition) },
      { name: t("alarms.change"), of: (one) => `${named("state", one.before)} → ${named("state", one.after)}` }, { name: t("why"), of: (one) => one.why },
    ], told.items.reverse(), { label: t("alarms.journal") }) : el("p", { class: "soft" }, t("alarms.quiet")));
    drawActs();
  }

  put(main, el("div", { class: "page" }, el("h1", {}, t("view.alarms")), el("div", { class: "card" }, acts, list), el("div", { class: "card" }, el("h2", {}, t("alarms.journal")), journal)));
  await load();
  shared.live.addEventListener("alarms", load);
  return () => shared.live.removeEventListener("alarms", load);
}
