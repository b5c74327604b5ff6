// Swagger UI for this service's OpenAPI document. An API key stored by the dashboard in this tab is filled in.
const ui = window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  presets: [window.SwaggerUIBundle.presets.apis],
  validatorUrl: null,
  onComplete: () => {
    const key = sessionStorage.getItem("velocast-key");
    if (key) ui.preauthorizeApiKey("ApiKey", key);
  },
});
