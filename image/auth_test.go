package image

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

const (
	user, password = "robot", "s3cret/pass"
	token          = "bearer-token-xyz"
)

// locked lets in who brings the password (basic) or a token (bearer).
func locked(w *wire, bearer bool) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		got := r.Header.Get("Authorization")
		switch {
		case bearer && r.URL.Path == "/token":
			if got != want {
				rw.WriteHeader(http.StatusUnauthorized)
				return
			}
			_ = json.NewEncoder(rw).Encode(map[string]string{"token": token})
		case bearer && got == "Bearer "+token, !bearer && got == want:
			next.ServeHTTP(rw, r)
		case bearer:
			rw.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, w.host))
			rw.WriteHeader(http.StatusUnauthorized)
		default:
			rw.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			rw.WriteHeader(http.StatusUnauthorized)
		}
	})
}

// noCredentials hides those of whoever runs the tests.
func noCredentials(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	for _, k := range []string{"REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "DOCKER_CONFIG"} {
		t.Setenv(k, "")
	}
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(home, "run"))
	t.Setenv("HOME", home)
	return home
}

func writeFile(t *testing.T, path, content string) string {
	t.Helper()
	check(t, os.MkdirAll(filepath.Dir(path), 0o700))
	check(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func authJSON(key, password string) string {
	return fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, key, base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

func TestPrivateRegistry(t *testing.T) {
	for _, bearer := range []bool{false, true} {
		t.Run(fmt.Sprint("bearer ", bearer), func(t *testing.T) {
			home := noCredentials(t)
			w, ref, digest, _ := pushed(t)
			locked(w, bearer)

			_, err := Resolve(context.Background(), ref, quick())
			wantError[*AuthError](t, err, "401", "anonymous", "no credential file", "credentials_file")

			file := writeFile(t, home+"/.config/containers/auth.json", authJSON(w.host, "wrong"))
			_, err = Resolve(context.Background(), ref, quick())
			wantError[*AuthError](t, err, file)
			noSecret(t, err, "wrong")

			opts := quick()
			opts.CredentialsFile = writeFile(t, home+"/named.json", authJSON(w.host+"/app", password))
			r, err := Resolve(context.Background(), ref, opts)
			check(t, err)
			if r.Digest != digest || r.Credentials != opts.CredentialsFile {
				t.Errorf("resolved to %+v", r)
			}
			_, err = pull(ref, digest, opts)
			check(t, err)
		})
	}
}

func noSecret(t *testing.T, err error, secrets ...string) {
	t.Helper()
	for _, s := range append(secrets, password, token, base64.StdEncoding.EncodeToString([]byte(user+":"+password))) {
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), s) {
			t.Errorf("error %q tells the secret %q", err, s)
		}
	}
}

func TestForbiddenAndMissing(t *testing.T) {
	w, ref, digest, _ := pushed(t)
	for _, r := range []string{w.host + "/app:2", w.host + "/other:1"} {
		_, err := Resolve(context.Background(), r, quick())
		wantError[*NotFoundError](t, err, "tag ", "push it")
	}
	_, err := Open(context.Background(), ref, sum([]byte("x")), quick())
	wantError[*NotFoundError](t, err, "manifest sha256:")

	w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == "/v2/" {
			next.ServeHTTP(rw, r)
			return
		}
		rw.WriteHeader(http.StatusForbidden)
		_, _ = rw.Write([]byte(`{"errors":[{"code":"DENIED","message":"pay\u001b[31m first"}]}`))
	})
	_, err = Open(context.Background(), ref, digest, quick())
	wantError[*AuthError](t, err, "403", "DENIED pay")
	if strings.Contains(err.Error(), "\x1b") {
		t.Error("the registry writes to the terminal")
	}
	if n := w.count("GET", "/manifests/"); n != 1 {
		t.Errorf("asked %d times for what is forbidden", n)
	}
}

func TestWhichCredentialFile(t *testing.T) {
	home := noCredentials(t)
	host := "registry.example:5000"
	paths := []string{ // in the order in which they are preferred
		home + "/env.json",
		home + "/run/containers/auth.json",
		home + "/.config/containers/auth.json",
		home + "/.docker/config.json",
	}
	for _, p := range paths {
		writeFile(t, p, authJSON("https://"+host+"/v2/", password))
	}
	t.Setenv("REGISTRY_AUTH_FILE", paths[0])
	find := func() string {
		r, err := Resolve(context.Background(), host+"/team/app@"+sum(nil), Options{})
		check(t, err)
		return r.Credentials
	}
	for i, p := range paths {
		if got := find(); got != p {
			t.Errorf("used %s, want %s", got, p)
		}
		writeFile(t, p, authJSON("elsewhere.example", password))
		if i == 0 {
			continue // one without the entry is passed over, as is one that is gone
		}
		check(t, os.Remove(p))
	}
	t.Setenv("HOME", "")
	got := find()
	for _, word := range []string{"anonymous", "no entry for " + host, paths[0], "$HOME is not set"} {
		if !strings.Contains(got, word) {
			t.Errorf("note %q does not say %q", got, word)
		}
	}
}

func TestBadCredentialFiles(t *testing.T) {
	home := noCredentials(t)
	for content, word := range map[string]string{
		`{"auths": {"registry.example": {"auth": "s3cret/pass"}}}`: "not base64",
		`s3cret/pass`: "not valid JSON",
		`{"credHelpers": {"registry.example": "../../bin/sh"}}`:    "not a program's name",
		`{"credHelpers": {"registry.example": "gitboot-no-such"}}`: "install it in one of",
	} {
		opts := Options{CredentialsFile: writeFile(t, home+"/c.json", content)}
		_, err := Resolve(context.Background(), "registry.example/app@"+sum(nil), opts)
		wantWords(t, err, word, opts.CredentialsFile)
		noSecret(t, err)
	}
	_, err := Resolve(context.Background(), "registry.example/app@"+sum(nil), Options{CredentialsFile: home + "/none.json"})
	wantWords(t, err, "none.json", "correct its path")
}

func TestCredentialHelper(t *testing.T) {
	home := noCredentials(t)
	w, ref, digest, _ := pushed(t)
	locked(w, false)
	script := fmt.Sprintf("#!/bin/sh\nread server\n[ \"$1 $server\" = 'get %s' ] || exit 1\necho '{\"Username\": %q, \"Secret\": %q}'\n", w.host, user, password)
	need.Root(t)
	helper := fmt.Sprintf("test-%d", os.Getpid())
	planted := "/usr/local/bin/docker-credential-" + helper
	check(t, os.WriteFile(planted, []byte(script), 0o700))
	t.Cleanup(func() { check(t, os.Remove(planted)) })
	for _, config := range []string{
		fmt.Sprintf(`{"credHelpers": {%q: %q}}`, w.host, helper),
		fmt.Sprintf(`{"credsStore": %q, "auths": {%q: {}}}`, helper, w.host),
	} {
		writeFile(t, home+"/.docker/config.json", config)
		r, err := Resolve(context.Background(), ref, quick())
		check(t, err)
		if r.Digest != digest {
			t.Errorf("resolved to %+v", r)
		}
	}
}
