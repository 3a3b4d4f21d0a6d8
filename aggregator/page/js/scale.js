// Colours: cividis, the same to people with and without colour-blindness, and lighter with the value
// (Nuñez, Anderton, Renslow, PLoS ONE 13(7), 2018). Doubt is a halo: its width is the deviation within the scale.

const CIVIDIS = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115], [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56]];

export function cividis(share) {
  const at = Math.min(1, Math.max(0, share)) * (CIVIDIS.length - 1);
  const low = Math.min(CIVIDIS.length - 2, Math.floor(at)), part = at - low;
  const mixed = CIVIDIS[low].map((one, k) => Math.round(one + part * (CIVIDIS[low + 1][k] - one)));
  return `rgb(${mixed.join(",")})`;
}

export const gradient = () => `linear-gradient(90deg, ${CIVIDIS.map((one) => `rgb(${one.join(",")})`).join(",")})`;

// A round range that holds the values: it only grows while one layer is looked at, so colours do not flicker.
export class Scale {
  constructor() { this.low = Infinity; this.high = -Infinity; }

  include(value) {
    if (!Number.isFinite(value) || (value >= this.low && value <= this.high)) return false;
    const low = Math.min(this.low, value), high = Math.max(this.high, value);
    const step = 10 ** Math.floor(Math.log10(Math.max((high - low) / 2, Math.abs(high) * 1e-3, 1e-9)));
    this.low = low >= 0 && low < (high - low) ? 0 : Math.floor(low / step) * step;
    this.high = Math.ceil(high / step) * step;
    if (this.high === this.low) this.high = this.low + step;
    return true;
  }

  share(value) { return (value - this.low) / (this.high - this.low || 1); }

  doubt(sd) { return Math.min(1, (2 * sd) / (this.high - this.low || 1)); }
}
