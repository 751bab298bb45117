// The package @ditto/workflow.

export function defineWorkflow(definition) {
  if (definition === null || typeof definition !== "object" || typeof definition.run !== "function") {
    throw new TypeError("defineWorkflow: expected an object with a function `run`");
  }
  return definition;
}
