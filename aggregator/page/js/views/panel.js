// One asset: its numbers with their bands, raw beside estimated, its past and what is expected, alarms, who measures it.

import { get } from "../api.js";
import { el, put } from "../dom.js";
import { measure, moment, named, number, t } from "../words.js";

const AGAIN_MS = 10000; // the curves are asked for again so often

export class Panel {
  constructor(box, shared, closed) {
    this.box = box;
    this.shared = shared;
    this.closed = closed;
    this.onpoints = ({ detail }) => this.points(detail.values);
  }

  async show(asset) {
    this.close(false);
    this.asset = asset;
    this.box.hidden = false;
    put(this.box, el("p", { class: "soft" }, t("loading")));
    try {
      this.item = await get(`/assets/${encodeURIComponent(asset)}`);
    } catch (error) { this.shared.problem(error); this.closed(); return; }
    if (this.asset !== asset) return;
    this.draw();
    this.topics = this.item.points.map((one) => `points:${one.point}`);
    this.shared.live.addEventListener("points", this.onpoints);
    if (this.topics.length) this.shared.live.watch(...this.topics);
    this.box.querySelector("h2").focus();
    if (this.item.quantities.length) {
      await this.curves();
      this.timer = setInterval(() => this.curves(), AGAIN_MS);
    }
  }

  close(hide = true) {
    clearInterval(this.timer);
    this.asset = null;
    if (this.topics?.length) this.shared.live.leave(...this.topics);
    this.topics = [];
    this.shared.live.removeEventListener("points", this.onpoints);
    if (hide) this.box.hidden = true;
  }

  draw() {
    const one = this.item;
    put(this.box, el("header", {}, el("div", { class: "grow" }, el("h2", { tabindex: "-1" }, one.name), el("div", { class: "soft small" }, `${named("domain", one.domain)} · ${named("kind", one.kind)} · ${one.id}`)),
      el("button", { onclick: () => this.closed(), "aria-label": t("close") }, "✕")),
    one.alarms.map((alarm) => el("div", { class: `problem p${alarm.priority}` }, el("strong", {}, `${named("condition", alarm.condition)} · ${named("state", alarm.state)}`), `\n${alarm.why}\n${alarm.action}`)),
    one.quantities.map((each, k) => el("section", { "data-quantity": each.quantity }, el("h3", {}, named("quantity", each.quantity)), el("div", { class: "big" }, measure(each.mean, each.sd, each.unit)), this.band(each), k === 0 ? el("p", { class: "soft small" }, t("panel.band")) : null)),
    one.quantities.length ? el("div", { class: "row" }, one.quantities.length > 1 ? el("select", { "aria-label": t("panel.curve-of"), onchange: (event) => { this.quantity = event.target.value; this.curves(); } },
      one.quantities.map((each) => el("option", { value: each.quantity }, named("quantity", each.quantity)))) : null, el("span", { class: "soft small" }, t("panel.curves"))) : null,
    el("div", { class: "curves" }), this.measured(), this.facts());
    this.quantity = one.quantities[0]?.quantity;
  }

  band(each) {
    if (each.mean === null) return el("p", { class: "soft small" }, t("panel.not-yet"));
    const width = Math.max(each.q95 - each.q05, 1e-12), low = each.mean - width, high = each.mean + width;
    const inner = el("i"), middle = el("b");
    inner.style.left = `${(100 * (each.q05 - low)) / (high - low)}%`;
    inner.style.right = `${(100 * (high - each.q95)) / (high - low)}%`;
    middle.style.left = "50%";
    return el("div", {}, el("div", { class: "band", role: "img", "aria-label": t("panel.band-label", { low: number(each.q05), high: number(each.q95) }) }, inner, middle),
      el("div", { class: "row small soft" }, el("span", { class: "grow" }, number(each.q05)), el("span", {}, number(each.q95))));
  }

  measured() {
    if (!this.item.points.length) return el("p", { class: "soft" }, t("panel.unmeasured"));
    return el("section", {}, el("h3", {}, t("panel.points")), el("dl", {}, this.item.points.flatMap((one) => [
      el("dt", {}, named("quantity", one.quantity), el("div", { class: "mono small" }, one.point)),
      el("dd", { "data-point": one.point }, this.reading(one.value, one.quality, one.at))])));
  }

  reading(value, quality, at) {
    return [el("strong", {}, number(value, 4)), el("div", { class: "small soft" }, `${quality || "–"} · ${moment(at)}`)];
  }

  facts() {
    const one = this.item, rows = Object.entries(one.facts);
    return el("section", {}, el("h3", {}, t("panel.facts")), el("dl", {},
      [[t("panel.gateways"), one.gateways.join(", ") || "–"], [t("panel.model"), one.model], ...(one.ends.length ? [[t("panel.ends"), one.ends.join(" → ")]] : []),
        ...rows.map(([key, value]) => [named("fact", key), typeof value === "number" ? number(value, 5) : value])].flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
  }

  points(values) {
    for (const [point, [value, code, at]] of Object.entries(values)) {
      const known = this.item.points.find((one) => one.point === point), cell = this.box.querySelector(`[data-point="${CSS.escape(point)}"]`);
      if (!known || !cell) continue;
      const factor = known.raw ? known.value / known.raw : 1;
      put(cell, this.reading(value === null ? null : value * (Number.isFinite(factor) && factor ? factor : 1), code < 64 ? "GOOD" : code < 128 ? "UNCERTAIN" : "BAD", at * 1000));
    }
  }

  frame(domain, values, columns) {
    if (!this.asset || this.item?.domain !== domain) return;
    for (const section of this.box.querySelectorAll("[data-quantity]")) {
      const place = columns.findIndex((one) => one.asset === this.item.id && one.quantity === section.dataset.quantity);
      if (place >= 0) section.querySelector(".big").textContent = measure(values.mean[place], values.sd[place], columns[place].unit);
    }
  }

  async curves() {
    const asset = this.asset, path = `/assets/${encodeURIComponent(asset)}`;
    try {
      const [{ draw }, past, future] = await Promise.all([import("../plot.js"), get(`${path}/history`, { quantity: this.quantity, max: 400, from: new Date(Date.now() - 1800e3).toISOString() }),
        get(`${path}/forecast`, { quantity: this.quantity }).catch(() => null)]);
      if (this.asset === asset) draw(this.box.querySelector(".curves"), past, future);
    } catch (error) { if (this.asset === asset && error.status !== 404) this.shared.problem(error); }
  }
}
