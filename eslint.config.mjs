import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["**/dist/**", "**/dist-test/**", "**/node_modules/**", ".venv/**", ".bench-venv/**", "python-shim/**"] },
  {
    files: ["core/src/**/*.ts", "core/test/**/*.ts", "extension/**/src/**/*.ts", "ui-tests/src/**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        project: [
          "core/tsconfig.json",
          "core/test/tsconfig.json",
          "extension/kernel/tsconfig.json",
          "ui-tests/tsconfig.json",
        ],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "max-lines": ["error", { max: 350, skipBlankLines: true, skipComments: true }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // Overflows the stack on recursive types such as those of msgpack values.
      "@typescript-eslint/no-unsafe-class-instance-assignment": "off",
      // A namespace is how the reference's `dask.LocalMasterLauncher` reads in TypeScript.
      "@typescript-eslint/no-namespace": "off",
    },
  },
  {
    files: ["core/test/**/*.ts"],
    rules: { "max-lines": "off", "@typescript-eslint/no-non-null-assertion": "off" },
  },
);
