// Carries changed rows to a table that is already on the page, by the table's key.
export default function({data}){(window.__opsPatches??=new Map()).set(data.key,data);window.__opsTables?.get(data.key)?.(data)}
