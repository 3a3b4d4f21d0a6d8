// The laboratory: what if, built with a few choices or written out, run with progress, compared side by side, shared
// by its address. Nothing that is found here can become an order.

import { get, may, OPERATORS, send } from "../api.js";
import { el, put, say, scroll, table } from "../dom.js";
import { compareCurve } from "../plot.js";
import { moment, named, number, t } from "../words.js";

const AS_IT_IS = "as it is";
const LOOK_MS = 700;
const KINDS = {
  outage: (form) => `[[outage]]\nassets = ["${form.asset}"]\n`,
  closure: (form) => `[[closure]]\nassets = ["${form.asset}"]\n`,
  demand: (form) => `[demand]\nall = ${form.factor}\n`,
  heat: (form) => `[weather]\ntemperature = ${form.degrees}\n`,
};

export async function show(main, shared) {
  const runs = scroll(t("scenarios.runs")), kept = scroll(t("scenarios.kept")), found = el("div", { class: "page-part" });
  const collection = shared.city ? await get("/city/map") : { features: [] };
  const assets = collection.features.map((one) => one.properties);
  let timer = null;

  const text = el("textarea", { rows: "9", class: "mono", "aria-label": t("scenarios.text"), spellcheck: "false" });
  const name = el("input", { name: "name", required: true, value: t("scenarios.first-name"), maxlength: "60", oninput: compose });
  const kind = el("select", { "aria-label": t("scenarios.kind"), onchange: compose }, Object.keys(KINDS).map((one) => el("option", { value: one }, t(`scenarios.${one}`))));
  const asset = el("select", { "aria-label": t("asset"), onchange: compose });
  const factor = el("input", { type: "number", step: "0.1", min: "0", value: "1.3", "aria-label": t("scenarios.factor"), onchange: compose });
  const degrees = el("input", { type: "number", value: "35", "aria-label": t("scenarios.degrees"), onchange: compose });
  const horizon = el("select", { "aria-label": t("scenarios.horizon"), onchange: compose }, ["10min", "30min", "1h", "3h"].map((one) => el("option", { value: one }, one)));

  function compose() {
    const fits = { outage: ["energy", "services", "traffic"], closure: ["traffic"] }[kind.value] ?? [];
    const choices = assets.filter((one) => fits.includes(one.domain) && !["bus", "load", "junction", "signal", "container"].includes(one.kind));
    if (asset.dataset.kind !== kind.value) {
      asset.dataset.kind = kind.value;
      put(asset, choices.map((one) => el("option", { value: one.asset }, `${named("domain", one.domain)}: ${one.name}`)));
    }
    asset.hidden = !["outage", "closure"].includes(kind.value);
    factor.hidden = kind.value !== "demand";
    degrees.hidden = kind.value !== "heat";
    const minutes = { "10min": '"10 min"', "30min": '"30 min"', "1h": '"1 h"', "3h": '"3 h"' }[horizon.value];
    text.value = `[scenario]\nname = ${JSON.stringify(name.value)}\nhorizon = ${minutes}\nmembers = 30\n\n${KINDS[kind.value]({ asset: asset.value, factor: factor.value, degrees: degrees.value })}`;
  }

  async function start(event) {
    event.preventDefault();
    try {
      await send("POST", "/scenarios", { name: name.value, text: text.value });
      say(t("scenarios.started", { name: name.value }));
      await look();
    } catch (error) { shared.problem(error); }
  }

  async function look() {
    clearTimeout(timer);
    const { items } = await get("/scenarios/runs");
    put(runs, items.length ? table([
      { name: t("users.name"), of: (one) => el("strong", {}, one.name) },
      { name: t("alarms.state"), of: (one) => [t(`run.${one.state}`), one.error ? el("div", { class: "p2 small" }, one.error) : null] },
      { name: t("scenarios.progress"), of: (one) => (one.state === "running" ? el("progress", { max: String(one.total || 1), value: String(one.done), "aria-label": one.name }) : "") },
      { name: "", of: (one) => (one.state === "running" && may(...OPERATORS) ? el("button", { onclick: async () => { await send("DELETE", `/scenarios/runs/${one.id}`); look(); } }, t("cancel"))
        : one.state === "done" ? el("button", { onclick: () => compare(AS_IT_IS, one.name) }, t("scenarios.compare")) : "") },
    ], items, { label: t("scenarios.runs") }) : el("p", { class: "soft" }, t("scenarios.no-runs")));
    if (items.some((one) => one.state === "running")) timer = setTimeout(look, LOOK_MS);
    else await list();
  }

  async function list() {
    const { items } = await get("/scenarios");
    const newest = [...new Map(items.map((one) => [one.name, one]).reverse()).values()].filter((one) => one.name !== AS_IT_IS).reverse();
    put(kept, newest.length ? table([
      { name: t("users.name"), of: (one) => el("strong", {}, one.name) }, { name: t("at"), of: (one) => moment(one.run) }, { name: t("scenarios.begun"), of: (one) => moment(one.begun) },
      { name: t("decisions.by"), of: (one) => one.by }, { name: t("scenarios.members"), number: true, of: (one) => number(one.members) },
      { name: "", of: (one) => el("button", { onclick: () => compare(AS_IT_IS, one.name) }, t("scenarios.compare")) },
    ], newest, { label: t("scenarios.kept") }) : el("p", { class: "soft" }, t("scenarios.none")));
  }

  async function compare(first, second) {
    try {
      const told = await get("/scenarios/compare", { first, second });
      history.replaceState(null, "", `?${new URLSearchParams({ first, second })}`);
      draw(told);
    } catch (error) { shared.problem(error); }
  }

  function draw(told) {
    const lines = [...told.indicators.filter((one) => one.first !== one.second), ...told.exceedances];
    const curves = el("div", { class: "cols" });
    put(found, el("section", { class: "card" }, el("h2", { tabindex: "-1" }, t("scenarios.against", { first: told.first, second: told.second })),
      el("p", { class: "soft small" }, t("scenarios.basis", { begun: moment(told.begun), members: told.members })),
      lines.length ? scroll(t("scenarios.differences"), table([
        { name: t("decisions.indicator"), of: (one) => `${named("domain", one.domain)}: ${named("indicator", one.what)}` },
        { name: told.first, number: true, of: (one) => number(one.first) }, { name: told.second, number: true, of: (one) => number(one.second) },
        { name: t("scenarios.difference"), number: true, of: (one) => [el("strong", {}, number(one.difference)), el("div", { class: "soft small" }, `${number(one.low)} … ${number(one.high)}`)] },
        { name: t("scenarios.lower"), number: true, of: (one) => (one.lower === null ? "–" : `${number(100 * one.lower)} %`) },
      ], lines, { label: t("scenarios.differences") })) : el("p", {}, t("scenarios.same")), curves,
      told.states.length ? el("details", {}, el("summary", {}, t("scenarios.states")), scroll(t("scenarios.states"), table([
        { name: t("asset"), of: (one) => el("a", { href: `/?asset=${encodeURIComponent(one.asset)}` }, one.asset) }, { name: t("scenarios.quantity"), of: (one) => `${named("quantity", one.quantity)}, ${one.unit}` },
        { name: t("at"), of: (one) => moment(one.at) }, { name: told.first, number: true, of: (one) => number(one.first) }, { name: told.second, number: true, of: (one) => number(one.second) },
      ], told.states, { label: t("scenarios.states") }))) : null,
      told.notes.map((one) => el("p", { class: "soft small" }, one))));
    for (const course of told.courses.slice(0, 6)) {
      const box = el("div");
      curves.append(el("figure", { class: "curve" }, el("figcaption", { class: "small" }, `${named("domain", course.domain)}: ${named("indicator", course.name)}`), box));
      compareCurve(box, course, told.first, told.second);
    }
    found.querySelector("h2").focus();
  }

  compose();
  const form = el("form", { class: "card", onsubmit: start }, el("h2", {}, t("scenarios.build")),
    el("label", { class: "field" }, el("span", {}, t("users.name")), name), el("div", { class: "row" }, kind, asset, factor, degrees, horizon), text,
    el("div", { class: "row" }, el("button", { class: "main" }, t("scenarios.run")), el("span", { class: "soft small" }, t("scenarios.never"))));
  put(main, el("div", { class: "page" }, el("h1", {}, t("view.scenarios")), el("div", { class: "cols" }, may(...OPERATORS) ? form : null,
    el("div", { class: "card" }, el("h2", {}, t("scenarios.runs")), runs, el("h2", {}, t("scenarios.kept")), kept)), found));
  await look();
  const asked = new URLSearchParams(location.search);
  if (asked.get("second")) await compare(asked.get("first") ?? AS_IT_IS, asked.get("second"));
  return () => clearTimeout(timer);
}
