// The map: the city's own geometry, one number of it as colour, its doubt as a halo, what is wrong as a ring.

import * as maplibre from "/page/vendor/maplibre-gl-6.17.0/maplibre-gl.mjs";
import { cividis } from "./scale.js";
import { t } from "./words.js";

const PLAIN = {
  light: { paper: "#eceae4", rest: "#b4b1a8", ring: "#a3171b", chosen: "#b35900", road: "#fbfaf6", kerb: "#d3d0c6", ink: "#1c262b" },
  dark: { paper: "#12181b", rest: "#4a585e", ring: "#ff8a80", chosen: "#f2b134", road: "#222c31", kerb: "#2e3a40", ink: "#dfe5e4" },
};
const LABEL_FROM = 15; // of zoom: from further away names would cover the city
const state = (name, otherwise) => ["coalesce", ["feature-state", name], otherwise];
const isLine = ["==", ["geometry-type"], "LineString"], isPoint = ["==", ["geometry-type"], "Point"];
const isRoad = ["all", isLine, ["==", ["get", "domain"], "traffic"]];

function layers(colours) {
  const colour = ["to-color", state("colour", colours.rest)];
  const wide = ["case", ["boolean", state("shown", false), false], 5, 2];
  const halo = ["*", 26, state("doubt", 0)];
  const round = { "line-cap": "round", "line-join": "round" };
  return [
    { id: "paper", type: "background", paint: { "background-color": colours.paper } },
    { id: "kerb", type: "line", filter: isRoad, layout: round, paint: { "line-color": colours.kerb, "line-width": 15 } },
    { id: "road", type: "line", filter: isRoad, layout: round, paint: { "line-color": colours.road, "line-width": 12 } },
    { id: "line-halo", type: "line", filter: isLine, layout: round, paint: { "line-color": colour, "line-opacity": 0.3, "line-width": ["+", wide, halo] } },
    { id: "line-edge", type: "line", filter: isLine, layout: round, paint: { "line-color": ["case", ["boolean", state("chosen", false), false], colours.chosen, ["boolean", state("alarm", false), false], colours.ring, colours.paper], "line-width": ["+", wide, 4], "line-opacity": 0.9 } },
    { id: "line", type: "line", filter: isLine, layout: round, paint: { "line-color": colour, "line-width": wide } },
    { id: "point-halo", type: "circle", filter: isPoint, paint: { "circle-color": colour, "circle-opacity": 0.3, "circle-radius": ["+", 5, halo] } },
    { id: "point", type: "circle", filter: isPoint, paint: {
      "circle-color": colour, "circle-radius": ["case", ["boolean", state("shown", false), false], 8, 4],
      "circle-stroke-color": ["case", ["boolean", state("chosen", false), false], colours.chosen, ["boolean", state("alarm", false), false], colours.ring, colours.paper],
      "circle-stroke-width": ["case", ["boolean", state("chosen", false), false], 4, ["boolean", state("alarm", false), false], 4, 1.5] } },
    { id: "name", type: "symbol", filter: isPoint, minzoom: LABEL_FROM, layout: { "text-field": ["get", "name"], "text-size": 12, "text-font": ["sans-serif"], "text-variable-anchor": ["left", "right", "top", "bottom"], "text-radial-offset": 1, "text-max-width": 9, "text-padding": 4 },
      paint: { "text-color": colours.ink, "text-halo-color": colours.paper, "text-halo-width": 1.6 } },
  ].map((one) => (one.type === "background" ? one : { ...one, source: "city" }));
}

export class CityMap {
  constructor(container, collection, extent, dark, chosen) {
    this.features = new Map(collection.features.map((one) => [one.properties.asset, one]));
    this.states = new Map(); // id → what was set last, so that nothing is set twice
    this.colours = PLAIN[dark ? "dark" : "light"];
    const sources = { city: { type: "geojson", data: collection } };
    this.map = new maplibre.Map({
      container, style: { version: 8, sources, layers: layers(this.colours) }, bounds: extent, fitBoundsOptions: { padding: 70 },
      attributionControl: false, dragRotate: false, pitchWithRotate: false, maxZoom: 20, fadeDuration: 0,
      locale: { "Map.Title": t("map.canvas"), "NavigationControl.ZoomIn": t("map.in"), "NavigationControl.ZoomOut": t("map.out") },
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-left");
    this.ready = new Promise((done) => this.map.once("load", done));
    const near = ({ x, y }) => this.map.queryRenderedFeatures([[x - 6, y - 6], [x + 6, y + 6]], { layers: ["point", "line"] })[0];
    this.map.on("click", ({ point }) => { const one = near(point); if (one) chosen(one.properties.asset); });
    this.map.on("mousemove", ({ point }) => {
      const one = near(point);
      this.map.getCanvas().style.cursor = one ? "pointer" : "";
      this.hint(one && { name: one.properties.name, asset: one.properties.asset, point });
    });
    this.tip = new maplibre.Popup({ closeButton: false, closeOnClick: false, focusAfterOpen: false, className: "tip" });
  }

  // What the pointer is over; `label` is given by the view.
  hint(one) {
    if (!one) { this.tip.remove(); return; }
    this.tip.setLngLat(this.map.unproject(one.point)).setText(this.label ? this.label(one.asset, one.name) : one.name).addTo(this.map);
  }

  set(asset, values) {
    const feature = this.features.get(asset);
    if (!feature) return;
    const before = this.states.get(feature.id) ?? {};
    if (Object.keys(values).every((name) => before[name] === values[name])) return;
    this.states.set(feature.id, { ...before, ...values });
    this.map.setFeatureState({ source: "city", id: feature.id }, values);
  }

  show(asset, share, doubt) {
    this.set(asset, { shown: true, colour: cividis(Math.round(share * 64) / 64), doubt: Math.round(doubt * 40) / 40 });
  }

  plain(asset) { this.set(asset, { shown: false, colour: this.colours.rest, doubt: 0 }); }

  plainAll() { for (const asset of this.features.keys()) this.plain(asset); }

  mark(name, assets) {
    const now = new Set(assets), before = this[`marked_${name}`] ?? new Set();
    for (const one of before) if (!now.has(one)) this.set(one, { [name]: false });
    for (const one of now) this.set(one, { [name]: true });
    this[`marked_${name}`] = now;
  }

  fly(asset) {
    const feature = this.features.get(asset);
    if (!feature) return;
    const points = feature.geometry.type === "Point" ? [feature.geometry.coordinates] : feature.geometry.coordinates;
    const middle = points[Math.floor(points.length / 2)];
    if (!this.map.getBounds().contains(middle)) this.map.easeTo({ center: middle });
  }

  close() { this.map.remove(); }
}
