// Decisions: what is proposed, why, from which state, what it gains; approve, reject, take back. And the orders.

import { get, may, OPERATORS, send } from "../api.js";
import { ask, el, put, say, scroll, table } from "../dom.js";
import { moment, named, number, t } from "../words.js";

const COURSE = ["proposed", "approved", "dispatched", "acknowledged", "effective"];

export async function show(main, shared) {
  const list = el("div", { class: "cols" }), orders = scroll(t("decisions.orders-label"));

  async function act(one, what) {
    const needsWhy = what !== "approve";
    const told = await ask(t(`decisions.${what}-title`, { id: one.id }), [{ name: "why", label: t("why"), required: needsWhy }], { yes: t(`decisions.${what}`), no: t("cancel") }, needsWhy);
    if (!told) return;
    try {
      const after = await send("POST", `/decisions/${encodeURIComponent(one.id)}/${what}`, { why: told.why });
      say(`${one.id}: ${named("state", after.state)}`);
      await load();
    } catch (error) { shared.problem(error); }
  }

  function gains(expects) {
    return table([
      { name: t("decisions.indicator"), of: (gain) => `${named("domain", gain.domain)}: ${named("indicator", gain.name)}` },
      { name: t("decisions.without"), number: true, of: (gain) => number(gain.without) }, { name: t("decisions.with"), number: true, of: (gain) => number(gain.planned) },
      { name: t("decisions.gain"), number: true, of: (gain) => [el("strong", {}, number(gain.without - gain.planned)), el("div", { class: "soft small" }, `${number(gain.low)} … ${number(gain.high)}`)] },
    ], expects, { label: t("decisions.expects") });
  }

  function card(one) {
    const open = ["proposed", "approved", "dispatched", "acknowledged"].includes(one.state);
    const steps = COURSE.includes(one.state) ? COURSE : [...COURSE.slice(0, 2), one.state];
    const missing = one.persons - one.approvals.length;
    return el("article", { class: "card decision", "aria-label": one.id },
      el("div", { class: "row" }, el("h2", { class: "grow" }, named("domain", one.domain)), el("span", { class: "mono small soft" }, one.id)),
      el("ol", { class: "steps", "aria-label": t("decisions.course") }, steps.map((step) => el("li", { "aria-current": step === one.state ? "step" : undefined }, named("state", step)))),
      el("p", { class: "why" }, one.why), one.reason ? el("p", { class: "p2" }, one.reason) : null,
      scroll(t("decisions.expects"), gains(one.expects.filter((gain) => gain.without !== gain.planned))),
      one.expects.some((gain) => gain.without === gain.planned) ? el("p", { class: "soft small" }, t("decisions.same", { names: one.expects.filter((gain) => gain.without === gain.planned).map((gain) => named("indicator", gain.name)).join("; ") })) : null,
      el("details", {}, el("summary", {}, t("decisions.orders", { count: one.acts.length, gateways: one.gateways.length })), scroll(t("decisions.orders-label"), table([
        { name: t("decisions.sets"), of: (each) => el("span", { class: "mono" }, `${each.gateway}/${each.point}`) }, { name: t("value"), number: true, of: (each) => number(each.value) },
        { name: t("decisions.from-until"), of: (each) => `${moment(each.start)} – ${moment(each.end)}` }, { name: t("decisions.fate"), of: (each) => (each.fate ? `${named("fate", each.fate)} ${each.reason}` : t("decisions.not-given")) },
      ], one.acts, { label: t("decisions.orders-label") }))),
      el("p", { class: "soft small" }, t("decisions.basis", { at: moment(one.proposed), digest: one.digest.slice(0, 12), model: one.model.slice(0, 12), by: one.proposer }),
        one.gained !== null ? ` ${t("decisions.gained", { gained: number(one.gained) })}` : ""),
      one.approvals.length ? el("p", { class: "small" }, t("decisions.approved-by", { names: one.approvals.map((each) => each.person).join(", ") })) : null,
      one.state === "proposed" && missing > 0 ? el("p", { class: "small" }, t("decisions.needs", { count: missing, why: one.persons_why, until: moment(one.decide_by) })) : null,
      open && may(...OPERATORS) ? el("div", { class: "row" }, one.state === "proposed" ? el("button", { class: "main", onclick: () => act(one, "approve") }, t("decisions.approve")) : null,
        ["proposed", "approved"].includes(one.state) ? el("button", { onclick: () => act(one, "reject") }, t("decisions.reject")) : el("button", { class: "danger", onclick: () => act(one, "stop") }, t("decisions.stop"))) : null);
  }

  async function load() {
    const [found, given] = await Promise.all([get("/decisions", { limit: 40 }), get("/orders", { limit: 50 })]);
    put(list, found.items.length ? found.items.map(card) : el("p", { class: "soft" }, t("decisions.none")));
    put(orders, given.items.length ? table([
      { name: t("at"), of: (one) => moment(one.issued) }, { name: t("gateway"), of: (one) => one.gateway }, { name: t("decisions.sets"), of: (one) => (one.point ? el("span", { class: "mono" }, one.point) : t("all-stop")) },
      { name: t("value"), number: true, of: (one) => number(one.value) }, { name: t("decisions.fate"), of: (one) => named("fate", one.fate) }, { name: t("decisions.by"), of: (one) => one.by }, { name: t("why"), of: (one) => one.reason || one.why },
    ], given.items, { label: t("decisions.orders-label") }) : el("p", { class: "soft" }, t("decisions.no-orders")));
  }

  put(main, el("div", { class: "page" }, el("h1", {}, t("view.decisions")), list, el("div", { class: "card" }, el("h2", {}, t("decisions.orders-label")), orders)));
  await load();
  shared.live.addEventListener("decisions", load);
  return () => shared.live.removeEventListener("decisions", load);
}
