// Who did what, and when.

import { get } from "../api.js";
import { el, put, scroll, table } from "../dom.js";
import { moment, t } from "../words.js";

const PAGE = 200;

export async function show(main) {
  const rows = [], box = scroll(t("view.ledger")), more = el("div", { class: "row" });
  let next = "", wanted = "";

  function draw() {
    const shown = rows.filter((one) => !wanted || Object.values(one).join(" ").toLowerCase().includes(wanted)).reverse();
    put(box, table([
      { name: "#", number: true, of: (one) => String(one.number) }, { name: t("at"), of: (one) => moment(one.at) }, { name: t("ledger.actor"), of: (one) => one.actor },
      { name: t("ledger.act"), of: (one) => one.act }, { name: t("ledger.subject"), of: (one) => one.subject }, { name: t("ledger.detail"), of: (one) => el("span", { class: "mono small" }, one.detail) },
    ], shown, { label: t("view.ledger") }));
    put(more, next ? el("button", { onclick: load }, t("ledger.more")) : null);
  }

  async function load() {
    const found = await get("/audit", { after: next, limit: PAGE });
    rows.push(...found.items);
    next = found.next ?? "";
    draw();
  }

  const search = el("input", { type: "search", "aria-label": t("ledger.search"), placeholder: t("ledger.search"), oninput: () => { wanted = search.value.toLowerCase(); draw(); } });
  put(main, el("div", { class: "page" }, el("div", { class: "row" }, el("h1", { class: "grow" }, t("view.ledger")), search), el("div", { class: "card" }, box, more)));
  await load();
  return null;
}
