# A Vault Agent (or "vault proxy" from 1.14 on) beside the program: it logs in,
# and adds its token to requests that bear none. The program needs only
#   VAULT_ADDR=unix:///run/vault-agent/agent.sock  and no VAULT_TOKEN.
vault {
  address = "https://vault.example.com:8200"
}

auto_auth {
  method "kubernetes" {
    config = { role = "assistant" }
  }
}

api_proxy {
  use_auto_auth_token = true
}

listener "unix" {
  address     = "/run/vault-agent/agent.sock"
  tls_disable = true
  # The program's client sends the header X-Vault-Request.
  require_request_header = true
}
