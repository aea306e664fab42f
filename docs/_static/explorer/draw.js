// Pictures of the explorer: the photograph under its frame, a crop with its tokens, the curve.
"use strict";

(function (root) {
  const explorer = (root.shiftExplorer = root.shiftExplorer || { models: {} });
  const { CROP, MARGIN, WINDOW } = explorer;

  // Change 0 to 1 as a colour over grey: from nothing over purple and red to yellow.
  const RAMP = [
    [0, [66, 10, 104, 0]],
    [0.1, [87, 16, 130, 0.45]],
    [0.4, [188, 46, 92, 0.66]],
    [0.7, [240, 96, 33, 0.74]],
    [1, [252, 212, 72, 0.82]],
  ];
  function heat(change) {
    const x = Math.min(change, 1);
    const at = Math.max(1, RAMP.findIndex(([stop]) => x <= stop));
    const [[low, from], [high, to]] = [RAMP[at - 1], RAMP[at]];
    const mix = from.map((value, i) => value + ((to[i] - value) * (x - low)) / (high - low));
    return `rgba(${mix.slice(0, 3).map(Math.round).join()},${mix[3].toFixed(3)})`;
  }

  // A canvas of `units` × `units`, sharp on this screen; its drawing context in those units.
  function context(canvas, units) {
    const shown = canvas.clientWidth || 320;
    const pixels = Math.round(shown * Math.min(root.devicePixelRatio || 1, 3));
    if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
    const pen = canvas.getContext("2d");
    pen.setTransform(pixels / units, 0, 0, pixels / units, 0, 0);
    pen.clearRect(0, 0, units, units);
    pen.unit = units / shown; // one pixel of the page
    return pen;
  }

  // The colours of the photograph, moved, and the frame that the models look through.
  function drawStage(canvas, picture, [down, right], kind) {
    const pen = context(canvas, WINDOW);
    pen.imageSmoothingQuality = "high";
    if (kind === "roll") {
      const inset = (picture.naturalWidth - CROP) / 2;
      for (let row = -2; row <= 2; row++)
        for (let column = -2; column <= 2; column++) {
          const x = MARGIN + right + column * CROP;
          const y = MARGIN + down + row * CROP;
          // A little larger than its place: no seam where places are fractions.
          pen.drawImage(picture, inset, inset, CROP, CROP, x, y, CROP + 0.1, CROP + 0.1);
        }
    } else {
      const inset = (WINDOW - picture.naturalWidth) / 2;
      pen.drawImage(picture, inset + right, inset + down);
    }
    pen.fillStyle = "rgba(12,16,24,.58)";
    pen.beginPath();
    pen.rect(0, 0, WINDOW, WINDOW);
    pen.rect(MARGIN, MARGIN, CROP, CROP);
    pen.fill("evenodd");
    pen.lineWidth = 2 * pen.unit;
    pen.strokeStyle = "#fff";
    pen.strokeRect(MARGIN, MARGIN, CROP, CROP);
  }

  // Luminance of a normalised crop as a picture of CROP × CROP pixels.
  function greyPicture(image) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = CROP;
    const pen = canvas.getContext("2d");
    const pixels = pen.createImageData(CROP, CROP);
    for (let i = 0; i < image.length; i++) {
      const level = 118 + 62 * image[i];
      pixels.data.set([level, level, level, 255], 4 * i);
    }
    pen.putImageData(pixels, 0, 0);
    return canvas;
  }

  // What a model reads: the crop, its tokens coloured by their change, the grid where it lies, and
  // one token marked, so that the eye can follow it.
  function drawTokens(canvas, image, look, lock, marked, colour) {
    const pen = context(canvas, CROP);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(greyPicture(image), 0, 0);
    const [rows, columns] = look.grid;
    const cell = CROP / rows;
    const wraps = lock && lock.boundary !== "mirror";
    const copies = wraps ? [-CROP, 0, CROP] : [0];
    const start = look.offset.map((amount) => (wraps ? ((amount % CROP) + CROP) % CROP : amount));
    const boxes = [];
    for (const y of copies)
      for (const x of copies)
        for (let r = 0; r < rows; r++)
          for (let c = 0; c < columns; c++) {
            const box = [start[1] + c * cell + x, start[0] + r * cell + y, cell, cell];
            if (box[0] > -cell && box[0] < CROP && box[1] > -cell && box[1] < CROP)
              boxes.push({ box, place: [r, c], change: look.changes[r * columns + c] });
          }
    for (const { box, change } of boxes) {
      pen.fillStyle = heat(change);
      pen.fillRect(...box);
    }
    for (const [width, style] of [[2.5, "rgba(0,0,0,.35)"], [1, "rgba(255,255,255,.8)"]]) {
      pen.lineWidth = width * pen.unit;
      pen.strokeStyle = style;
      for (const { box } of boxes) pen.strokeRect(...box);
    }
    for (const { box, place } of boxes) {
      if (place[0] !== marked[0] || place[1] !== marked[1]) continue;
      pen.lineWidth = 7 * pen.unit;
      pen.strokeStyle = "#fff";
      pen.strokeRect(...box);
      pen.lineWidth = 4 * pen.unit;
      pen.strokeStyle = colour;
      pen.strokeRect(...box);
    }
  }

  // The curves as SVG: the style sheet colours them, also in the dark.
  const LEFT = 46, RIGHT = 14, TOP = 12, BOTTOM = 40;
  function drawCurve(svg, { curves, here, values, label, limit }) {
    const width = Math.max(svg.clientWidth || 680, 260);
    const height = svg.clientHeight || 230;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const top = Math.max(1.1, ...curves.flatMap((curve) => curve.map(([, y]) => y)), ...values) * 1.02;
    const x = (s) => LEFT + ((s + limit) / (2 * limit)) * (width - LEFT - RIGHT);
    const y = (r) => height - BOTTOM - (r / top) * (height - TOP - BOTTOM);
    const line = (x1, y1, x2, y2, name) =>
      `<line class="${name}" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;
    const text = (at, up, words, anchor = "middle") =>
      `<text x="${at}" y="${up}" text-anchor="${anchor}">${words}</text>`;
    const parts = [];
    for (let s = -limit; s <= limit; s += limit / 4) {
      parts.push(line(x(s), TOP, x(s), height - BOTTOM, s ? "rule" : "axis"));
      parts.push(text(x(s), height - BOTTOM + 16, s > 0 ? `+${s}` : s < 0 ? `−${-s}` : "0"));
    }
    for (const r of [0, 0.5, 1]) {
      parts.push(line(LEFT, y(r), width - RIGHT, y(r), r === 1 ? "another" : "rule"));
      parts.push(text(LEFT - 7, y(r) + 4, r.toFixed(1), "end"));
    }
    parts.push(text(width - RIGHT - 4, y(1) + 15, "as far as another image", "end"));
    parts.push(text((width + LEFT) / 2, height - 6, label));
    curves.forEach((curve, side) => {
      const points = curve.map(([s, r]) => `${x(s).toFixed(1)},${y(r).toFixed(1)}`).join(" ");
      parts.push(`<polyline class="curve side${side}" points="${points}"/>`);
    });
    parts.push(line(x(here), TOP, x(here), height - BOTTOM, "here"));
    values.forEach((value, side) => {
      parts.push(`<circle class="dot side${side}" cx="${x(here)}" cy="${y(value)}" r="5.5"/>`);
    });
    svg.innerHTML = parts.join("");
  }

  Object.assign(explorer, { drawStage, drawTokens, drawCurve, heat });
})(typeof globalThis === "undefined" ? window : globalThis);
