// The page around quadtree.js: a photograph, a budget, a kind of split, a camera that moves.
"use strict";

(function () {
  const tokens = window.waveletTokens;
  const FILES = document.currentScript.src.replace(/tokens\/[^/]*$/, "explorer/");
  const SCALE = 4; // screen pixels of one pixel
  const find = (name) => document.getElementById(`wt-${name}`);
  const photographs = {};

  function draw(canvas, image, weights) {
    const side = tokens.CROP;
    canvas.width = canvas.height = side * SCALE;
    const context = canvas.getContext("2d");
    image.values.forEach((value, i) => {
      const grey = Math.round(255 * Math.min(Math.max(0.5 + 0.25 * value, 0), 1));
      context.fillStyle = `rgb(${grey},${grey},${grey})`;
      context.fillRect((i % side) * SCALE, Math.floor(i / side) * SCALE, SCALE, SCALE);
    });
    (weights || []).forEach((weight, level) => {
      const width = (tokens.PATCH << level) * SCALE;
      weight.values.forEach((value, i) => {
        context.strokeStyle = `rgba(213,94,0,${value})`;
        context.lineWidth = 1.5;
        const [row, column] = [Math.floor(i / weight.side), i % weight.side];
        if (value > 0) context.strokeRect(column * width, row * width, width, width);
      });
    });
  }

  function show() {
    const photograph = photographs[find("photograph").value];
    if (!photograph) return;
    const hard = find("hard").checked;
    const budget = Number(find("budget").value) / 100;
    const right = Number(find("right").value);
    const chosen = (place) => {
      const image = tokens.crop(photograph, place);
      const { energies, means } = tokens.pyramid(image);
      return { image, means, weights: tokens.weights(energies, budget, hard) };
    };
    const { image, means, weights } = chosen(right);
    const seen = tokens.seen(weights, means);
    draw(find("patches"), image, weights);
    draw(find("seen"), seen);
    const number = weights.reduce((n, one) => n + one.values.filter((w) => w > 0).length, 0);
    const middle = image.values.reduce((a, b) => a + b, 0) / image.values.length;
    const energy = (f) => image.values.reduce((total, _, i) => total + f(i) ** 2, 0);
    const lost = energy((i) => image.values[i] - seen.values[i]);
    const whole = energy((i) => image.values[i] - middle);
    let text = `${number} of ${weights[0].side ** 2} tokens are computed; they lose `;
    text += `${(100 * Math.sqrt(lost / whole)).toFixed(1)} % of the contrast.`;
    if (right > 0) {
      const changed = tokens.changed(chosen(right - 1).weights, weights);
      text += ` The last pixel that the camera moved changed ${changed.toFixed(1)} % of them.`;
    }
    find("says").textContent = text;
  }

  function load(name) {
    if (photographs[name]) return show();
    const script = document.createElement("script");
    script.src = `${FILES}photographs/${name}.js`;
    document.head.append(script);
  }

  window.shiftExplorer = {
    choose({ photographs: names }) {
      find("photograph").append(...names.map((name) => new Option(name)));
      load(names[0]);
    },
    addPhotograph({ name, side, grey }) {
      photographs[name] = { side, pixels: Uint8Array.from(atob(grey), (c) => c.charCodeAt(0)) };
      show();
    },
  };
  find("photograph").addEventListener("change", (event) => load(event.target.value));
  for (const name of ["budget", "right", "hard"]) find(name).addEventListener("input", show);
  const choice = document.createElement("script");
  choice.src = `${FILES}choice.js`;
  document.head.append(choice);
  find("view").hidden = false;
})();
