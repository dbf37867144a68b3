package image

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// An engine gets what gitboot itself would ask with, and nothing else.
func TestCredentialFile(t *testing.T) {
	home := noCredentials(t)
	opts := Options{}
	if got, err := CredentialFile(t.Context(), []string{"r.lan/a:1"}, opts); err != nil || got != nil {
		t.Errorf("without any: %s, %v", got, err)
	}
	writeFile(t, filepath.Join(home, ".docker/config.json"),
		`{"auths": {"r.lan": {"auth": "YTpi"}, "r.lan/deep": {"auth": "YzpkOmU="}, "docker.io": {"identitytoken": "hub"}, "other.lan": {"auth": "eDp5"}}}`)
	data, err := CredentialFile(t.Context(), []string{"r.lan/a:1", "r.lan/deep/b:1", "golang:1.26"}, opts)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Auths map[string]map[string]string }
	check(t, json.Unmarshal(data, &got))
	for key, want := range map[string]string{
		"r.lan": "YTpi", "r.lan/a": "YTpi", "r.lan/deep/b": "YzpkOmU=", "https://index.docker.io/v1/": "hub",
	} {
		if e := got.Auths[key]; e["auth"]+e["identitytoken"] != want {
			t.Errorf("%s: %v", key, e)
		}
	}
	if strings.Contains(string(data), "other.lan") {
		t.Errorf("too much: %s", data)
	}
	// It is read back as it was meant.
	path := writeFile(t, filepath.Join(home, "auth.json"), string(data))
	again, err := CredentialFile(t.Context(), []string{"r.lan/a:1", "r.lan/deep/b:1", "golang:1.26"}, Options{CredentialsFile: path})
	if err != nil || string(again) != string(data) {
		t.Errorf("again: %s, %v", again, err)
	}
}
