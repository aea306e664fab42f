// Tokens where the detail is: the choice of wavevit.layers.quadtree (energies "haar"), in a page.
"use strict";

(function (root) {
  const PATCH = 8; // pixels of a finest patch
  const LEVELS = 4;
  const CROP = 96;
  const SOFTNESS = 0.1;
  const FLOOR = 1e-3; // smallest threshold
  const tokens = (root.waveletTokens = {});

  // A square grid of values: `side` rows and columns.
  const grid = (side, of) => ({
    side,
    values: Float64Array.from({ length: side * side }, (_, i) => of(Math.floor(i / side), i % side)),
  });
  const at = (map, row, column) => map.values[row * map.side + column];
  const sum = (values) => values.reduce((total, value) => total + value, 0);

  // The crop whose left edge is `right` pixels inside the photograph, about zero.
  tokens.crop = ({ side, pixels }, right) =>
    grid(CROP, (r, c) => (pixels[(r + (side - CROP) / 2) * side + c + right] / 255 - 0.5) / 0.25);

  // Energies that each node loses as one token, and the means that it keeps, finest first.
  tokens.pyramid = (image) => {
    const means = [image];
    const energies = [grid(image.side / PATCH, () => 0)];
    for (let level = 1; level < LEVELS && energies[level - 1].side > 1; level++) {
      const nodes = energies[level - 1].side >> 1;
      const finer = means[level - 1];
      const four = (r, c) => [0, 1, 2, 3].map((i) => at(finer, 2 * r + (i >> 1), 2 * c + (i & 1)));
      const mean = grid(nodes * PATCH, (r, c) => sum(four(r, c)) / 4);
      const fine = grid(
        nodes * PATCH,
        (r, c) => 4 ** (level - 1) * (sum(four(r, c).map((v) => v * v)) - 4 * at(mean, r, c) ** 2),
      );
      energies.push(
        grid(nodes, (r, c) => {
          let total = 0;
          for (let i = 0; i < PATCH * PATCH; i++)
            total += at(fine, r * PATCH + Math.floor(i / PATCH), c * PATCH + (i % PATCH));
          const children = [0, 1, 2, 3].map((i) =>
            at(energies[level - 1], 2 * r + (i >> 1), 2 * c + (i & 1)),
          );
          return total / PATCH ** 2 + sum(children);
        }),
      );
      means.push(mean);
    }
    return { energies, means };
  };

  function split(energy, threshold, hard) {
    if (hard) return energy > threshold ? 1 : 0;
    const steepness = 0.5 / SOFTNESS;
    const place = (energy * steepness) / threshold - steepness * (1 - SOFTNESS);
    const inside = Math.min(Math.max(place, 0), 1);
    return inside * inside * (3 - 2 * inside);
  }

  // Weights of all nodes, finest first; a node without a parent has all of its own weight.
  function weightsAt(energies, threshold, hard) {
    const weights = [];
    let parents = null;
    for (let level = energies.length - 1; level >= 0; level--) {
      const passed = grid(energies[level].side, () => 0);
      const own = grid(energies[level].side, (r, c) => {
        const parent = parents && r >> 1 < parents.side && c >> 1 < parents.side;
        const reached = parent ? at(parents, r >> 1, c >> 1) : 1;
        const share = level ? split(at(energies[level], r, c), threshold, hard) : 0;
        passed.values[r * passed.side + c] = reached * share;
        return reached * (1 - share);
      });
      weights.unshift(own);
      parents = passed;
    }
    return weights;
  }

  const count = (weights) => sum(weights.map((one) => sum(one.values)));

  // Weights with at most this share of the finest grid's tokens.
  tokens.weights = (energies, budget, hard) => {
    const most = budget * energies[0].side ** 2;
    if (count(weightsAt(energies, FLOOR, hard)) <= most) return weightsAt(energies, FLOOR, hard);
    let low = Math.log(FLOOR);
    let high = Math.log(Math.max(...energies.map((e) => Math.max(...e.values))) * 2 + FLOOR);
    for (let step = 0; step < 100; step++) {
      const middle = (low + high) / 2;
      if (count(weightsAt(energies, Math.exp(middle), hard)) > most) low = middle;
      else high = middle;
    }
    return weightsAt(energies, Math.exp(high), hard);
  };

  // What the tokens see: weighted means of the squares that cover a pixel.
  tokens.seen = (weights, means) =>
    grid(CROP, (r, c) => {
      let total = 0;
      weights.forEach((weight, level) => {
        const [row, column] = [r >> level, c >> level].map((p) => Math.floor(p / PATCH));
        if (row < weight.side && column < weight.side)
          total += at(weight, row, column) * at(means[level], r >> level, c >> level);
      });
      return total;
    });

  // Share of the chosen tokens that differ, in percent (wavevit.measure.choice_turnover).
  tokens.changed = (before, after) => {
    let different = 0;
    let all = 0;
    before.forEach((map, level) =>
      map.values.forEach((value, i) => {
        different += Math.abs(after[level].values[i] - value);
        all += after[level].values[i] + value;
      }),
    );
    return (100 * different) / all;
  };
  Object.assign(tokens, { PATCH, CROP });
})(typeof window === "undefined" ? globalThis : window);
