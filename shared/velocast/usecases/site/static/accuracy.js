// How good forecasts were, in words.

import { number, percent, t } from "./format.js";

/** Sentences of {pairs, mae, bias, wape, coverage}, or that too little is known. */
export function accuracyInWords(accuracy) {
  if (!accuracy) return t("accuracy.none");
  const off = Math.abs(accuracy.bias);
  const bias = off < 0.1 * accuracy.mae ? "" : t(accuracy.bias > 0 ? "accuracy.bias.high" : "accuracy.bias.low", { b: number(off, 1) });
  const known = {
    mae: number(accuracy.mae, accuracy.mae < 10 ? 1 : 0),
    wape: accuracy.wape === undefined ? "–" : percent(accuracy.wape),
    coverage: percent(accuracy.coverage),
    pairs: number(accuracy.pairs),
  };
  return `${t("accuracy", known)} ${bias}`.trim();
}
