"use strict";
const start = process.hrtime.bigint();
require("lazycluster");
console.log(Number(process.hrtime.bigint() - start) / 1e6);
