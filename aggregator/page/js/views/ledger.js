// The record that nobody can rewrite: who did what; each entry with its receipt, verified here in the browser.

import { get } from "../api.js";
import { el, put, scroll, table } from "../dom.js";
import { verify } from "../proof.js";
import { moment, number, t } from "../words.js";

const PAGE = 200;
const KINDS = ["", "access", "approval", "alarm", "configuration", "decision", "model", "order", "rollout", "batch"];

export async function show(main, shared) {
  const rows = [], box = scroll(t("view.ledger")), more = el("div", { class: "row" }), proof = el("div"), who = scroll(t("ledger.witnesses"));
  const kind = el("select", { "aria-label": t("ledger.kind"), onchange: () => again() }, KINDS.map((one) => el("option", { value: one }, one || t("ledger.all"))));
  const subject = el("input", { type: "search", "aria-label": t("ledger.search"), placeholder: t("ledger.search"), onchange: () => again() });
  const vouching = (await get("/ledger/witnesses").catch(() => ({ items: [] }))).items;
  let next = ""; // of what is searched for
  let first = 0; // the oldest entry that is shown, where nothing is searched for

  async function check(one) {
    put(proof, el("p", { class: "soft" }, t("loading")));
    try {
      const response = await fetch(`/api/v1/ledger/receipt/${one.index}`);
      if (!response.ok) throw new Error((await response.json()).detail);
      const text = await response.text(), found = await verify(text, vouching);
      const file = el("a", { href: URL.createObjectURL(new Blob([text], { type: "text/plain" })), download: `receipt-${one.index}.txt`, class: "button" }, t("ledger.save"));
      put(proof, el("section", { class: "card", role: "status" }, el("h2", { tabindex: "-1" }, `✓ ${t("ledger.proven", { index: found.index, size: found.size })}`),
        el("p", {}, found.witnesses.length ? t("ledger.vouched", { names: found.witnesses.map((each) => each.name).join(", ") }) : t("ledger.unvouched")),
        el("dl", { class: "mono small" }, el("dt", {}, t("ledger.root")), el("dd", {}, found.root)), el("pre", { class: "mono small scroll", tabindex: "0" }, found.content), el("div", { class: "row" }, file)));
      proof.querySelector("h2").focus();
    } catch (error) { put(proof, el("div", { class: "problem", role: "alert" }, `✗ ${t("ledger.broken", { index: one.index })}: ${error.message}`)); }
  }

  function draw() {
    put(box, rows.length ? table([
      { name: "#", number: true, of: (one) => String(one.index) }, { name: t("at"), of: (one) => moment(one.told.at) }, { name: t("ledger.kind"), of: (one) => one.kind },
      { name: t("ledger.actor"), of: (one) => one.told.actor ?? one.told.gateway ?? "" }, { name: t("ledger.act"), of: (one) => one.told.act ?? "" }, { name: t("ledger.subject"), of: (one) => one.subject },
      { name: t("ledger.detail"), of: (one) => el("span", { class: "mono small" }, String(one.told.detail ?? one.told.sha256 ?? "")) },
      { name: "", of: (one) => el("button", { onclick: () => check(one) }, t("ledger.verify")) },
    ], [...rows].reverse(), { label: t("view.ledger") }) : el("p", { class: "soft" }, t("ledger.none")));
    put(more, next || first > 0 ? el("button", { onclick: load }, t("ledger.more")) : null);
  }

  async function load() {
    try {
      const searching = kind.value || subject.value, begin = Math.max(0, first - PAGE);
      const found = await get("/ledger/entries", searching ? { after: next, limit: PAGE, kind: kind.value, subject: subject.value } : { after: begin ? begin - 1 : "", limit: Math.max(1, first - begin) });
      const items = found.items.map((one) => ({ ...one, told: JSON.parse(one.content) }));
      if (searching) { rows.push(...items); next = found.next ?? ""; } else { rows.unshift(...items); first = begin; }
      draw();
    } catch (error) { if (error.status === 503) put(box, el("p", { class: "soft" }, t("ledger.none"))); else shared.problem(error); }
  }

  async function again() {
    rows.length = 0;
    next = "";
    const checkpoint = await fetch("/ledger/checkpoint");
    first = checkpoint.ok ? Number((await checkpoint.text()).split("\n")[1]) : 0;
    if (kind.value || subject.value) first = 0;
    await load();
  }

  put(who, vouching.length ? table([
    { name: t("ledger.witness"), of: (one) => el("strong", {}, one.name) }, { name: t("ledger.size"), number: true, of: (one) => number(one.size, 9) }, { name: t("at"), of: (one) => moment(one.cosigned) },
    { name: t("ledger.against"), of: (one) => (one.against.length ? el("span", { class: "p1" }, one.against.join("; ")) : t("ledger.agrees")) },
  ], vouching, { label: t("ledger.witnesses") }) : el("p", { class: "soft" }, t("ledger.no-witness")));
  put(main, el("div", { class: "page" }, el("div", { class: "row" }, el("h1", { class: "grow" }, t("view.ledger")), kind, subject), proof,
    el("div", { class: "card" }, box, more), el("div", { class: "card" }, el("h2", {}, t("ledger.witnesses")), who)));
  await again();
  return null;
}
