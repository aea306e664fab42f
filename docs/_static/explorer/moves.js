// Moving a photograph and laying the grid: wavevit.measure.shifting, wavevit.alignment and the
// normalisation of wavevit.data.Scenes, in their own order of operations.
"use strict";

(function (root) {
  const explorer = (root.shiftExplorer = root.shiftExplorer || { models: {} });
  const CROP = 64;
  const MARGIN = 16;
  const WINDOW = CROP + 2 * MARGIN;
  const CONTRAST_FLOOR = 0.02; // of Scenes: an almost flat crop stays almost flat

  const modulo = (a, n) => ((a % n) + n) % n;

  // Python's round: halves go to the even neighbour.
  function round(x) {
    const floor = Math.floor(x);
    if (x - floor !== 0.5) return Math.round(x);
    return floor % 2 === 0 ? floor : floor + 1;
  }

  // A photograph's luminance to the window that a model's crop moves in, normalised by the crop
  // in its middle.
  function windowOf(photograph) {
    const { side, pixels } = photograph;
    const inset = (side - WINDOW) / 2;
    const start = (side - CROP) / 2;
    let sum = 0;
    let squares = 0;
    for (let r = start; r < start + CROP; r++)
      for (let c = start; c < start + CROP; c++) sum += pixels[r * side + c] / 255;
    const mean = sum / (CROP * CROP);
    for (let r = start; r < start + CROP; r++)
      for (let c = start; c < start + CROP; c++) squares += (pixels[r * side + c] / 255 - mean) ** 2;
    const gain = 1 / (Math.sqrt(squares / (CROP * CROP)) + CONTRAST_FLOOR);
    const window = new Float32Array(WINDOW * WINDOW);
    for (let r = 0; r < WINDOW; r++)
      for (let c = 0; c < WINDOW; c++)
        window[r * WINDOW + c] = (pixels[(r + inset) * side + c + inset] / 255 - mean) * gain;
    return window;
  }

  // The Fourier shift by `amount` on a circle of `side`, as the matrix row it is: entry n is what a
  // pixel n steps before contributes. The Nyquist frequency keeps the cosine of its ramp.
  function shiftKernel(side, amount) {
    return Float64Array.from({ length: side }, (_, n) => {
      let sum = 1;
      for (let k = 1; k < side / 2; k++) sum += 2 * Math.cos((2 * Math.PI * k * (n - amount)) / side);
      if (side % 2 === 0) sum += Math.cos(Math.PI * n) * Math.cos(Math.PI * amount);
      return sum / side;
    });
  }

  // A square image on its circle, moved down and right by any real numbers of pixels.
  function fourierShift(image, side, [down, right]) {
    const along = (from, amount, [outer, inner]) => {
      const once = shiftKernel(side, amount);
      const kernel = Float64Array.from({ length: 2 * side }, (_, n) => once[n % side]);
      const to = new Float64Array(side * side);
      for (let o = 0; o < side; o++)
        for (let i = 0; i < side; i++) {
          let sum = 0;
          for (let j = 0, at = o * outer; j < side; j++, at += inner)
            sum += from[at] * kernel[i - j + side];
          to[o * outer + i * inner] = sum;
        }
      return to;
    };
    return Float32Array.from(along(along(image, right, [side, 1]), down, [1, side]));
  }

  function roll(image, side, [down, right], mirror = false) {
    const place = (i, amount) => {
      if (!mirror) return modulo(i - amount, side);
      const at = modulo(i - amount, 2 * side);
      return Math.min(at, 2 * side - 1 - at);
    };
    const out = new Float32Array(side * side);
    for (let r = 0; r < side; r++)
      for (let c = 0; c < side; c++)
        out[r * side + c] = image[place(r, down) * side + place(c, right)];
    return out;
  }

  function crop(window, [down, right]) {
    const out = new Float32Array(CROP * CROP);
    for (let r = 0; r < CROP; r++)
      for (let c = 0; c < CROP; c++)
        out[r * CROP + c] = window[(r + MARGIN - down) * WINDOW + c + MARGIN - right];
    return out;
  }

  const isWhole = (shift) => shift.every(Number.isInteger);

  // What a model reads after the content moved down and right by `shift` pixels.
  function moved(window, shift, kind) {
    if (kind === "roll") {
      const image = crop(window, [0, 0]);
      return isWhole(shift) ? roll(image, CROP, shift) : fourierShift(image, CROP, shift);
    }
    const whole = shift.map(round);
    const rest = shift.map((amount, axis) => amount - whole[axis]);
    return crop(isWhole(shift) ? window : fourierShift(window, WINDOW, rest), whole);
  }

  // Squared undecimated Haar details, summed over bands: wavevit.alignment.statistics.
  function localActivity(image, side) {
    const f = Math.fround;
    const along = new Float32Array(side * side);
    const out = new Float32Array(side * side);
    const at = (r, c) => image[(r % side) * side + (c % side)];
    for (let r = 0; r < side; r++)
      for (let c = 0; c < side; c++) along[r * side + c] = f(at(r, c) - at(r, c + 1)) ** 2;
    for (let r = 0; r < side; r++)
      for (let c = 0; c < side; c++) {
        const below = along[((r + 1) % side) * side + c];
        const v = f(f(at(r, c) - at(r + 1, c)) + f(at(r, c + 1) - at(r + 1, c + 1)));
        out[r * side + c] = (along[r * side + c] + below) / 2 + f(v * v) / 4;
      }
    return out;
  }

  // The whole-pixel offset at which a phase lock lays the grid, and its margin: phase_of.
  function phaseOf(image, { boundary, period }) {
    const side = CROP;
    const activity = localActivity(image, side);
    const hann = (i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (side - 1));
    const weight = Array.from({ length: side }, (_, i) => (boundary === "circular" ? 1 : hann(i)));
    const offset = [];
    const margin = [];
    for (const axis of [0, 1]) {
      let real = 0;
      let imaginary = 0;
      let total = 0;
      for (let i = 0; i < side; i++) {
        let strength = 0; // of a row or a column
        for (let j = 0; j < side; j++)
          strength += activity[axis ? j * side + i : i * side + j] * weight[i] * weight[j];
        const angle = (2 * Math.PI * (i % period)) / period;
        real += strength * Math.cos(angle);
        imaginary -= strength * Math.sin(angle);
        total += strength;
      }
      margin.push(total ? Math.hypot(real, imaginary) / total : 0);
      const found = margin[axis] > 64 * 2 ** -23;
      const exact = found ? (Math.atan2(imaginary, real) * -period) / (2 * Math.PI) : 0;
      let whole = modulo(Math.floor(exact + 0.75), period);
      if (boundary === "mirror" && whole >= period / 2) whole -= period; // by the shorter way
      offset.push(whole);
    }
    return { offset, margin };
  }

  // The view that the model behind a lock reads, and where its grid lies in the image.
  function aligned(image, lock) {
    if (!lock) return { view: image, offset: [0, 0] };
    const { offset } = phaseOf(image, lock);
    const back = offset.map((amount) => -amount);
    return { view: roll(image, CROP, back, lock.boundary === "mirror"), offset };
  }

  Object.assign(explorer, { CROP, MARGIN, WINDOW, windowOf, moved, phaseOf, aligned, fourierShift });
})(typeof globalThis === "undefined" ? window : globalThis);
