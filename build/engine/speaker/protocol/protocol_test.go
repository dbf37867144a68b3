package protocol

import (
	"strings"
	"testing"
)

func TestEndpoint(t *testing.T) {
	for _, c := range []struct {
		builder Builder
		want    string // network and address, or a part of the error
	}{
		{Builder{Address: "unix:///run/buildkit/buildkitd.sock"}, "unix /run/buildkit/buildkitd.sock"},
		{Builder{Address: "tcp://builder.lan:8372", CA: "ca", Cert: "c", Key: "k"}, "tcp builder.lan:8372"},
		{Builder{Address: "tcp://127.0.0.1:8372"}, "tcp 127.0.0.1:8372"},
		{Builder{Address: "tcp://[::1]:8372"}, "tcp [::1]:8372"},
		{Builder{Address: "tcp://builder.lan:8372"}, "name the file of its authority's certificate"},
		{Builder{Address: "tcp://192.0.2.1:8372", Cert: "c", Key: "k"}, "without ca"},
		{Builder{Address: "tcp://localhost:8372"}, "without ca"}, // whatever that is resolved to
		{Builder{Address: "tcp://builder.lan", CA: "ca"}, "write tcp://HOST:PORT"},
		{Builder{Address: "tcp://builder.lan:1", CA: "ca", Cert: "c"}, "cert and key come together"},
		{Builder{Address: "unix:///x", CA: "ca"}, "tcp://"},
		{Builder{Address: "unix://run/x"}, "unix:///PATH"},
		{Builder{Address: "/run/buildkit/buildkitd.sock"}, "does not begin with unix:// or tcp://"},
		{Builder{Address: "docker-container://x"}, "does not begin with unix:// or tcp://"},
		{Builder{Address: ":"}, "missing protocol scheme"},
	} {
		network, address, err := c.builder.Endpoint()
		got := network + " " + address
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != c.want || err != nil && !strings.Contains(got, c.want) {
			t.Errorf("%+v is %q, not %q", c.builder, got, c.want)
		}
	}
}
