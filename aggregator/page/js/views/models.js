// Rollouts of models: their waves, what the gates wait for, how far the evidence is, and every gateway.

import { get, may, send } from "../api.js";
import { ask, el, put, say, scroll, table } from "../dom.js";
import { moment, number, t } from "../words.js";

const WAVES = ["shadow", "canary", "early", "all"];
const CHANGES = { pause: ["running"], resume: ["paused"], abort: ["running", "paused"] };

export async function show(main, shared) {
  const list = el("div", { class: "cols" });

  async function act(one, what) {
    const told = await ask(t(`models.${what}-title`, { id: one.id }), [{ name: "why", label: t("why"), required: true }], { yes: t(`models.${what}`), no: t("cancel") }, what === "abort");
    if (!told) return;
    try {
      await send("POST", `/rollouts/${encodeURIComponent(one.id)}/${what}`, { why: told.why });
      say(`${one.id}: ${t(`models.${what}`)}`);
      await load();
    } catch (error) { shared.problem(error); }
  }

  function gate(label, found) {
    const bar = (value, needs) => el("progress", { max: "1", value: String(Math.min(1, Math.max(0, needs ? value / needs : 0))), "aria-label": label });
    return [el("dt", {}, label), el("dd", {}, bar(found.not_worse, found.not_worse_needs), el("div", { class: "soft small" }, t("models.evidence", { looks: found.looks, value: number(found.not_worse), needs: number(found.not_worse_needs) })))];
  }

  function card(one) {
    const waves = WAVES.includes(one.wave) ? WAVES : [one.wave];
    return el("article", { class: "card", "aria-label": one.id }, el("div", { class: "row" }, el("h2", { class: "grow" }, `${one.twin}: ${one.model}`), el("span", { class: "tag" }, one.state)),
      el("ol", { class: "steps", "aria-label": t("models.waves") }, waves.map((wave) => el("li", { "aria-current": wave === one.wave ? "step" : undefined }, wave))),
      one.reason ? el("p", { class: "p2" }, one.reason) : null, one.waits_for ? el("p", {}, t("models.waits", { what: one.waits_for })) : null,
      el("dl", { class: "gates" }, el("dt", {}, t("models.good")), el("dd", {}, `${one.good}`), el("dt", {}, t("models.back")), el("dd", {}, `${one.back}`), el("dt", {}, t("models.failed")), el("dd", {}, `${one.failed}`),
        gate(t("models.error"), one.error), gate(t("models.kpi"), one.kpi)),
      el("details", {}, el("summary", {}, t("models.gateways", { count: one.gateways.length })), scroll(t("models.gateways-label"), table([
        { name: t("gateway"), of: (each) => each.gateway }, { name: t("models.cluster"), of: (each) => each.cluster }, { name: t("alarms.state"), of: (each) => each.stage }, { name: t("models.tries"), number: true, of: (each) => String(each.tries) }, { name: t("why"), of: (each) => each.why },
      ], one.gateways, { label: t("models.gateways-label") }))),
      el("p", { class: "soft small" }, t("models.by", { by: one.by, at: moment(one.begun), digest: one.digest.slice(0, 12) })),
      may("engineer", "admin") ? el("div", { class: "row" }, Object.entries(CHANGES).filter(([, states]) => states.includes(one.state)).map(([what]) => el("button", { class: what === "abort" ? "danger" : "", onclick: () => act(one, what) }, t(`models.${what}`)))) : null);
  }

  async function load() {
    const { items } = await get("/rollouts");
    put(list, items.length ? items.map(card) : el("p", { class: "soft" }, t("models.none")));
  }

  put(main, el("div", { class: "page" }, el("h1", {}, t("view.models")), list));
  await load();
  shared.live.addEventListener("decisions", load);
  return () => shared.live.removeEventListener("decisions", load);
}
