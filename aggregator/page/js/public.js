// The page of residents: chosen numbers of the city, late and by squares of the map; the same as a table.

import * as maplibre from "/page/vendor/maplibre-gl-6.17.0/maplibre-gl.mjs";
import { el, put, scroll, table } from "./dom.js";
import { cividis, gradient, Scale } from "./scale.js";
import { current, LANGUAGES, moment, named, number, speak, t } from "./words.js";

const AGAIN_MS = 60000;
const main = document.getElementById("main"), head = document.getElementById("head");
const FAINT = { sure: 0.85, likely: 0.55, unsure: 0.28 };
let city = null, map = null, chosen = 0;

function dark() {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
  const is = document.documentElement.dataset.theme === "dark" || (document.documentElement.dataset.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.toggleAttribute("data-dark", is);
  return is;
}

function squares(layer, scale) {
  const half = city.side_deg / 2;
  return { type: "FeatureCollection", features: layer.squares.map((one) => ({
    type: "Feature", properties: { colour: cividis(scale.share(one.value)), faint: FAINT[one.sure], told: told(layer, one) },
    geometry: { type: "Polygon", coordinates: [[[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]].map(([x, y]) => [one.lon + x * half, one.lat + y * half])] },
  })) };
}

const told = (layer, one) => `${number(one.value, 2)}${layer.unit === "1" ? "" : ` ${layer.unit}`}, ${t(`public.${one.sure}`)}`;

function drawHead() {
  document.querySelector(".skip").textContent = t("skip");
  put(head, el("span", { class: "brand" }, el("img", { src: "/page/icon.svg", alt: "" }), city?.name ?? "citytwin"), el("span", { class: "grow" }),
    el("select", { "aria-label": t("language"), onchange: (event) => { speak(event.target.value); draw(); } }, Object.entries(LANGUAGES).map(([code, name]) => el("option", { value: code, selected: code === current() }, name))));
  document.title = `${city?.name ?? ""} · citytwin`;
}

function draw() {
  drawHead();
  const layer = city.layers[chosen];
  if (!layer) { put(main, el("div", { class: "page" }, el("h1", {}, t("public.nothing")))); return; }
  const scale = new Scale();
  layer.squares.forEach((one) => scale.include(one.value));
  const bar = el("span", { class: "bar" });
  bar.style.background = gradient();
  const canvas = el("div", { class: "canvas" });
  map?.remove();
  put(main, el("div", { class: "public" }, el("section", { class: "beside" }, el("h1", {}, t("public.title", { city: city.name })), el("p", { class: "soft" }, t("public.late", { minutes: number(city.delay_s / 60) })),
    el("fieldset", {}, el("legend", {}, t("layers")), city.layers.map((one, k) => el("label", { class: "row" }, el("input", { type: "radio", name: "layer", checked: k === chosen, onchange: () => { chosen = k; draw(); } }), `${named("domain", one.domain)}: ${named("quantity", one.quantity)}`))),
    scroll(t("public.table"), table([{ name: t("public.square"), of: (one) => `${one.lat.toFixed(3)}° ${one.lon.toFixed(3)}°` }, { name: t("value"), number: true, of: (one) => number(one.value, 2) }, { name: t("public.how-sure"), of: (one) => t(`public.${one.sure}`) }], layer.squares, { label: t("public.table") }))),
  el("div", { class: "chart" }, canvas, el("div", { class: "scale" }, el("strong", {}, named("quantity", layer.quantity)), bar, el("div", { class: "ends" }, el("span", {}, number(scale.low)), el("span", {}, `${number(scale.high)} ${layer.unit === "1" ? "" : layer.unit}`)),
    el("div", { class: "sure soft" }, t("public.faint")), el("div", { class: "soft" }, moment(layer.at))))));
  const paper = dark() ? "#12181b" : "#eceae4";
  map = new maplibre.Map({ container: canvas, bounds: city.extent, fitBoundsOptions: { padding: 40 }, attributionControl: false, dragRotate: false, fadeDuration: 0,
    style: { version: 8, sources: { squares: { type: "geojson", data: squares(layer, scale) } }, layers: [{ id: "paper", type: "background", paint: { "background-color": paper } },
      { id: "squares", type: "fill", source: "squares", paint: { "fill-color": ["get", "colour"], "fill-opacity": ["get", "faint"], "fill-outline-color": "#55626a" } }] },
    locale: { "Map.Title": t("public.table"), "NavigationControl.ZoomIn": t("map.in"), "NavigationControl.ZoomOut": t("map.out") } });
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-left");
  const tip = new maplibre.Popup({ closeButton: false, closeOnClick: false });
  map.on("mousemove", "squares", ({ lngLat, features }) => tip.setLngLat(lngLat).setText(features[0].properties.told).addTo(map));
  map.on("mouseleave", "squares", () => tip.remove());
  map.once("load", () => { main.querySelector(".chart").dataset.ready = "yes"; });
}

async function load() {
  const response = await fetch("/api/v1/public/city");
  if (!response.ok) { drawHead(); put(main, el("div", { class: "page" }, el("h1", {}, t("public.none")))); return; }
  city = await response.json();
  draw();
}

dark();
load();
setInterval(load, AGAIN_MS);
