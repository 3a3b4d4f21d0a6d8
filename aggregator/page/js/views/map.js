// The city on a map: layers, colours with their scale, an asset's panel, and time.

import { get } from "../api.js";
import { el, put, table } from "../dom.js";
import { CityMap } from "../map.js";
import { gradient, Scale } from "../scale.js";
import { measure, moment, named, number, t } from "../words.js";
import { Panel } from "./panel.js";

const STEPS = 240; // of the slider
const SPAN_S = 3600; // how far back it goes

export async function show(main, shared) {
  if (!shared.city) {
    put(main, el("div", { class: "page" }, el("div", { class: "card" }, el("h1", {}, t("map.none")), el("p", {}, t("map.none-hint")))));
    return null;
  }
  const view = new MapView(main, shared);
  await view.begin();
  return () => view.close();
}

class MapView {
  constructor(main, shared) {
    this.main = main;
    this.shared = shared;
    this.columns = {}; // domain → columns
    this.values = {}; // domain → {mean, sd}
    this.past = null; // seconds since 1970 that are looked at; null: now
    this.known = "now";
    this.scale = new Scale();
  }

  async begin() {
    const [collection, ...states] = await Promise.all([get("/city/map"), ...this.shared.city.domains.map((one) =>
      get("/city/state", { domain: one.name }).catch(() => null))]);
    this.collection = collection;
    states.forEach((one) => this.take(one));
    const [domain, quantity] = (localStorage.getItem("layer") ?? "").split("/");
    this.layer = this.choices().find((one) => one.domain === domain && one.quantity === quantity) ?? this.choices()[0];
    this.draw();
    this.onstate = ({ detail }) => this.frame(detail);
    this.shared.live.addEventListener("state", this.onstate);
    this.shared.live.watch(...this.shared.city.domains.map((one) => `state:${one.name}`));
    this.shared.onalarms = (items) => this.alarms(items);
    await this.map.ready;
    this.main.querySelector(".chart").dataset.ready = "yes";
    this.colour();
    this.alarms(this.shared.alarms ?? []);
    const chosen = new URLSearchParams(location.search).get("asset");
    if (chosen) this.choose(chosen);
  }

  close() {
    this.shared.live.removeEventListener("state", this.onstate);
    this.shared.live.leave(...this.shared.city.domains.map((one) => `state:${one.name}`));
    this.shared.onalarms = null;
    this.panel.close();
    this.map.close();
  }

  take(state) {
    if (!state) return;
    this.columns[state.domain] = state.columns;
    this.values[state.domain] = { mean: Float64Array.from(state.mean, (one) => one ?? NaN), sd: Float64Array.from(state.sd, (one) => one ?? NaN), at: state.at };
  }

  choices() {
    return Object.entries(this.columns).flatMap(([domain, columns]) =>
      [...new Set(columns.map((one) => one.quantity))].map((quantity) => ({ domain, quantity, unit: columns.find((one) => one.quantity === quantity).unit })));
  }

  draw() {
    const chart = el("div", { class: "chart" });
    const canvas = el("div", { class: "canvas" });
    this.legend = el("div", { class: "scale" });
    this.panelBox = el("aside", { class: "panel", hidden: true, "aria-label": t("panel.label") });
    this.layers = el("div", { class: "layers", role: "group", "aria-label": t("layers") });
    chart.append(canvas, this.legend,
      el("div", { class: "as-table row" }, el("button", { class: "only-narrow", onclick: () => this.layers.classList.toggle("open") }, t("layers")),
        el("button", { onclick: () => this.asTable() }, t("map.as-table"))));
    put(this.main, el("div", { class: "map-view" }, this.layers, chart, this.panelBox, this.time()));
    this.map = new CityMap(canvas, this.collection, this.shared.city.extent, this.shared.dark(), (asset) => this.choose(asset));
    this.map.label = (asset, name) => `${name}: ${this.told(asset)}`;
    this.panel = new Panel(this.panelBox, this.shared, () => this.choose(null));
    this.drawLayers();
  }

  drawLayers() {
    const groups = this.shared.city.domains.map((domain) => {
      const trusted = domain.calibration.trusted;
      const trust = el("span", { class: `tag trust ${trusted ? "good" : "medium"}`, title: domain.calibration.why }, trusted ? t("trusted") : t("not-trusted"));
      const choices = this.choices().filter((one) => one.domain === domain.name).map((one) =>
        el("label", {}, el("input", { type: "radio", name: "layer", checked: one.domain === this.layer.domain && one.quantity === this.layer.quantity, onchange: () => this.select(one) }),
          el("span", {}, named("quantity", one.quantity)), one.unit === "1" ? null : el("span", { class: "soft small" }, one.unit)));
      return el("fieldset", {}, el("legend", {}, named("domain", domain.name), trust), choices);
    });
    put(this.layers, el("h2", {}, t("layers")), groups);
  }

  select(layer) {
    this.layer = layer;
    localStorage.setItem("layer", `${layer.domain}/${layer.quantity}`);
    this.layers.classList.remove("open");
    this.colour();
  }

  places() {
    return (this.columns[this.layer.domain] ?? []).map((one, place) => ({ ...one, place })).filter((one) => one.quantity === this.layer.quantity);
  }

  colour() {
    this.scale = new Scale();
    const values = this.values[this.layer.domain];
    for (const one of this.places()) this.include(values, one.place);
    this.map.plainAll();
    this.paint(this.places());
    this.drawLegend();
  }

  // The scale holds a value and its deviation: what lies within that is no difference.
  include(values, place) {
    const low = this.scale.include(values.mean[place] - values.sd[place]), high = this.scale.include(values.mean[place] + values.sd[place]);
    return low || high;
  }

  paint(places) {
    const values = this.values[this.layer.domain];
    for (const one of places) {
      const mean = values.mean[one.place];
      if (Number.isFinite(mean)) this.map.show(one.asset, this.scale.share(mean), this.scale.doubt(values.sd[one.place]));
      else this.map.plain(one.asset);
    }
  }

  drawLegend() {
    const unit = this.layer.unit === "1" ? "" : ` ${this.layer.unit}`;
    const bar = el("span", { class: "bar" });
    bar.style.background = gradient();
    const values = this.values[this.layer.domain];
    put(this.legend, el("strong", {}, `${named("domain", this.layer.domain)}: ${named("quantity", this.layer.quantity)}`), bar,
      el("div", { class: "ends" }, el("span", {}, number(this.scale.low) + unit), el("span", {}, number(this.scale.high) + unit)),
      el("div", { class: "sure soft" }, t("legend.halo")), el("div", { class: "soft" }, el("span", { id: "as-of" }, moment(values.at))));
  }

  frame({ domain, t: at, columns, mean, sd }) {
    const values = this.values[domain];
    if (!values || this.past !== null) return;
    values.at = new Date(at * 1000).toISOString();
    let wider = false;
    const touched = [];
    columns.forEach((column, k) => {
      values.mean[column] = mean[k];
      values.sd[column] = sd[k];
      const one = this.columns[domain][column];
      if (domain === this.layer.domain && one.quantity === this.layer.quantity) {
        wider = this.include(values, column) || wider;
        touched.push({ ...one, place: column });
      }
    });
    if (domain === this.layer.domain) {
      this.paint(wider ? this.places() : touched);
      if (wider) this.drawLegend();
      const asOf = document.getElementById("as-of");
      if (asOf) asOf.textContent = moment(values.at);
    }
    this.panel.frame(domain, values, this.columns[domain]);
  }

  told(asset) {
    const found = Object.entries(this.columns).flatMap(([domain, columns]) => columns.map((one, place) => ({ ...one, domain, place })).filter((one) => one.asset === asset));
    if (!found.length) return t("map.no-number");
    return found.map((one) => `${named("quantity", one.quantity)} ${measure(this.values[one.domain].mean[one.place], this.values[one.domain].sd[one.place], one.unit)}`).join(", ");
  }

  alarms(items) { this.map.mark("alarm", items.map((one) => one.place)); }

  choose(asset) {
    this.map.mark("chosen", asset ? [asset] : []);
    history.replaceState(null, "", asset ? `?asset=${encodeURIComponent(asset)}` : location.pathname);
    if (asset) { this.map.fly(asset); this.panel.show(asset); } else this.panel.close();
    setTimeout(() => this.map.map.resize());
  }

  // ---- the same as a table: for who cannot, or would rather not, see a map

  asTable() {
    const values = this.values[this.layer.domain];
    const dialog = el("dialog", { class: "wide-dialog", onclose: () => dialog.remove() }, el("div", { class: "row" }, el("h2", { class: "grow" }, `${named("domain", this.layer.domain)}: ${named("quantity", this.layer.quantity)}`),
      el("button", { onclick: () => dialog.close() }, t("close"))), table([
      { name: t("asset"), of: (one) => el("button", { onclick: () => { dialog.close(); this.choose(one.asset); } }, this.map.features.get(one.asset)?.properties.name ?? one.asset) },
      { name: t("value"), number: true, of: (one) => measure(values.mean[one.place], values.sd[one.place], one.unit) },
    ], this.places(), { label: t("map.as-table") }));
    document.body.append(dialog);
    dialog.showModal();
  }

  // ---- time: the city then, as known then or as known now

  time() {
    this.told_at = el("output", {}, t("time.now"));
    this.slider = el("input", { type: "range", min: "0", max: String(STEPS), value: String(STEPS), "aria-label": t("time.label"), oninput: () => this.travel() });
    const known = el("select", { "aria-label": t("time.known"), onchange: (event) => { this.known = event.target.value; this.travel(); } },
      el("option", { value: "now" }, t("time.known-now")), el("option", { value: "then" }, t("time.known-then")));
    return el("div", { class: "time" }, el("strong", {}, t("time")), this.slider, this.told_at, known,
      el("button", { onclick: () => { this.slider.value = String(STEPS); this.travel(); } }, t("time.to-now")));
  }

  async travel() {
    const back = ((STEPS - Number(this.slider.value)) / STEPS) * SPAN_S;
    this.past = back === 0 ? null : Date.now() / 1000 - back;
    const at = this.past === null ? "" : new Date(this.past * 1000).toISOString();
    put(this.told_at, this.past === null ? t("time.now") : moment(at));
    this.main.querySelector(".then")?.remove();
    if (this.past !== null) this.main.querySelector(".chart").append(el("div", { class: "then", role: "status" }, t("time.then", { at: moment(at), known: t(`time.known-${this.known}`) })));
    const wanted = ++this.asked || (this.asked = 1);
    const states = await Promise.all(this.shared.city.domains.map((one) =>
      get("/city/state", { domain: one.name, at, known: this.past !== null && this.known === "then" ? at : "" }).catch(() => null)));
    if (wanted !== this.asked) return;
    states.forEach((one) => this.take(one));
    this.colour();
  }
}
