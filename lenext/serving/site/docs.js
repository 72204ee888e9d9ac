/** Showing the interface: /docs. */

window.SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui" });
