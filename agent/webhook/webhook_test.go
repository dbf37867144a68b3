package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const secret = "a secret that nobody guesses"

// A receiver is a handler, what it asked for, and what it logged.
type receiver struct {
	*Handler
	asked []string
	log   bytes.Buffer
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newReceiver(t *testing.T, secrets string) *receiver {
	t.Helper()
	r := &receiver{}
	var err error
	r.Handler, err = New(Options{SecretFile: secretFile(t, secrets), Log: slog.New(slog.NewTextHandler(&r.log, nil)),
		Ask: func(why string, update bool) { r.asked = append(r.asked, fmt.Sprint(why, " ", update)) }})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *receiver) post(path, body string, headers ...string) *http.Response {
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w.Result()
}

func sign(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// Each sender's own way of saying who it is.
func TestSenders(t *testing.T) {
	const body = `{"ref":"refs/heads/main"}`
	basic := base64.StdEncoding.EncodeToString([]byte("gitboot:" + secret))
	for _, c := range []struct {
		who, path string
		headers   []string
	}{
		{"GitHub", "/hook/repo", []string{"X-Hub-Signature-256", "sha256=" + sign(secret, body), "X-Hub-Signature", "sha1=0123", "X-GitHub-Event", "push"}},
		{"GitHub's packages", "/hook/image", []string{"X-Hub-Signature-256", "sha256=" + sign(secret, body), "X-GitHub-Event", "registry_package"}},
		{"Bitbucket", "/hook/repo", []string{"X-Hub-Signature", "sha256=" + sign(secret, body)}},
		{"Forgejo", "/hook/repo", []string{"X-Forgejo-Signature", sign(secret, body)}},
		{"Gitea", "/hook/repo", []string{"X-Gitea-Signature", sign(secret, body)}},
		{"Gogs", "/hook/repo", []string{"X-Gogs-Signature", sign(secret, body)}},
		{"Gitea with a header of its own and no secret", "/hook/repo", []string{"X-Hub-Signature-256", "sha256=", "X-Gitea-Signature", "", "Authorization", "Bearer " + secret}},
		{"GitLab", "/hook/repo", []string{"X-Gitlab-Token", secret, "X-Gitlab-Event", "Push Hook"}},
		{"Azure DevOps", "/hook/repo", []string{"Authorization", "Basic " + basic}},
		{"the distribution", "/hook/image", []string{"Authorization", "Bearer " + secret}},
		{"Harbor", "/hook/image", []string{"Authorization", secret}},
		{"Docker Hub", "/hook/image?token=" + strings.ReplaceAll(secret, " ", "%20"), nil},
	} {
		r := newReceiver(t, secret+"\n")
		if got := r.post(c.path, body, c.headers...); got.StatusCode != http.StatusAccepted {
			t.Errorf("%s: %s", c.who, got.Status)
		}
		want := fmt.Sprintf("[webhook %v]", strings.HasPrefix(c.path, "/hook/image"))
		if fmt.Sprint(r.asked) != want {
			t.Errorf("%s asked for %s", c.who, r.asked)
		}
	}
}

// The vectors that the documentation of GitHub and of Standard Webhooks prints.
func TestPublishedVectors(t *testing.T) {
	r := newReceiver(t, "It's a Secret to Everybody\n")
	got := r.post("/hook/repo", "Hello, World!", "X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	if got.StatusCode != http.StatusAccepted {
		t.Errorf("GitHub's: %s", got.Status)
	}
	synctest.Test(t, func(t *testing.T) {
		const sent = 1614265330
		time.Sleep(time.Until(time.Unix(sent, 0)))
		r := newReceiver(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
		post := func() int {
			return r.post("/hook/repo", `{"test": 2432232314}`, "webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp", fmt.Sprint(sent),
				"webhook-signature", "v1,bm90IHRoaXMgb25l v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=").StatusCode
		}
		if code := post(); code != http.StatusAccepted {
			t.Errorf("Standard Webhooks': %d", code)
		}
		time.Sleep(stale + time.Second)
		if code := post(); code != http.StatusUnauthorized {
			t.Errorf("the same when it is old: %d", code)
		}
		time.Sleep(2 * quiet)
	})
}

// endless never ends; read says how much of it was.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) { e.read += len(p); return len(p), nil }

// What is not let in asks for nothing, and is told why in words that hold
// nothing of what it sent.
func TestRefusals(t *testing.T) {
	const body = `{"ref":"refs/heads/main"}`
	long := strings.Repeat("x", maxBody+1)
	for _, c := range []struct {
		what, method, path, body string
		headers                  []string
		code                     int
	}{
		{"no proof", "POST", "/hook/repo", body, nil, 401},
		{"another secret", "POST", "/hook/repo", body, []string{"X-Hub-Signature-256", "sha256=" + sign(secret+"!", body)}, 403},
		{"another body", "POST", "/hook/repo", body + " ", []string{"X-Hub-Signature-256", "sha256=" + sign(secret, body)}, 403},
		{"a wrong signature beside the right token", "POST", "/hook/repo", body, []string{"X-Gitea-Signature", sign("", body), "X-Gitlab-Token", secret}, 403},
		{"a signature that is none", "POST", "/hook/repo", body, []string{"X-Hub-Signature-256", "sha256=" + strings.Repeat("g", 64)}, 401},
		{"SHA-1", "POST", "/hook/repo", body, []string{"X-Hub-Signature", "sha1=" + strings.Repeat("0", 40)}, 401},
		{"a part of the token", "POST", "/hook/repo", body, []string{"X-Gitlab-Token", secret[:20]}, 403},
		{"the token and more", "POST", "/hook/repo", body, []string{"X-Gitlab-Token", secret + "\n" + secret}, 403},
		{"an empty token", "POST", "/hook/repo", body, []string{"X-Gitlab-Token", ""}, 401},
		{"a signature as token", "POST", "/hook/repo", "", []string{"Authorization", "Bearer " + sign(secret, "")}, 403},
		{"a GET", "GET", "/hook/repo", "", []string{"X-Gitlab-Token", secret}, 405},
		{"no such hook", "POST", "/hook/repo/", body, []string{"X-Gitlab-Token", secret}, 404},
		{"a path that leads back", "POST", "/hook/x/../repo", body, []string{"X-Gitlab-Token", secret}, 404},
		{"a path with a line's end", "POST", "/hook/repo%0d%0aX-Injected:%201", body, []string{"X-Gitlab-Token", secret}, 404},
		{"a large body", "POST", "/hook/repo", long, []string{"X-Hub-Signature-256", "sha256=" + sign(secret, long)}, 413},
	} {
		r := newReceiver(t, secret)
		req := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		for i := 0; i < len(c.headers); i += 2 {
			req.Header.Set(c.headers[i], c.headers[i+1])
		}
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code != c.code {
			t.Errorf("%s: %d %s", c.what, w.Code, w.Body)
		}
		if len(r.asked) != 0 {
			t.Errorf("%s: asked for %s", c.what, r.asked)
		}
		told := fmt.Sprint(w.Header(), w.Body, r.log.String())
		for _, never := range []string{secret, "Injected", "refs/heads"} {
			if strings.Contains(told, never) {
				t.Errorf("%s: %q is told: %s", c.what, never, told)
			}
		}
	}
}

// A body whose length is not said is read to the bound, and no further.
func TestEndlessBody(t *testing.T) {
	r, body := newReceiver(t, secret), &endless{}
	req := httptest.NewRequest(http.MethodPost, "/hook/repo", body)
	req.ContentLength = -1
	req.Header.Set("X-Gitea-Signature", sign(secret, ""))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	if w.Code != http.StatusRequestEntityTooLarge || body.read > maxBody+(64<<10) {
		t.Errorf("%d after %d bytes", w.Code, body.read)
	}
}

// What comes while a look is fresh gets one look together, and an image's is not
// lost in it.
func TestCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t, secret)
		for n := range 1000 {
			path := "/hook/repo"
			if n == 500 {
				path = "/hook/image"
			}
			r.post(path, "{}", "X-Gitlab-Token", secret)
		}
		if got := fmt.Sprint(r.asked); got != "[webhook false]" {
			t.Errorf("at once: %s", got)
		}
		time.Sleep(pace)
		synctest.Wait()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := fmt.Sprint(r.asked); got != "[webhook false webhook true]" {
			t.Errorf("then: %s", got)
		}
	})
}

// The log has two lines a minute at most, however many are refused.
func TestQuietLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t, secret)
		for range 150 {
			for range 100 {
				r.post("/hook/repo", "{}", "X-Gitlab-Token", "something else")
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		refused := 1 // the first
		for _, m := range regexp.MustCompile(`count=(\d+)`).FindAllStringSubmatch(r.log.String(), -1) {
			n, _ := strconv.Atoi(m[1])
			refused += n
		}
		if lines := strings.Count(r.log.String(), "\n"); lines != 4 || refused != 150*100 {
			t.Errorf("%d lines tell of %d:\n%s", lines, refused, &r.log)
		}
	})
}

// Large bodies that fail leave no room for more of their like, and small ones
// that are right come through all the same.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t, secret)
		large := strings.Repeat("x", maxBody)
		codes := map[int]int{}
		for range 100 {
			codes[r.post("/hook/repo", large, "X-Gitea-Signature", sign("wrong", large)).StatusCode]++
		}
		if codes[403] > burst/maxBody || codes[429] < 90 {
			t.Errorf("answers: %v", codes)
		}
		if code := r.post("/hook/repo", "{}", "X-Gitea-Signature", sign(secret, "{}")).StatusCode; code != 202 {
			t.Errorf("a small one that is right: %d", code)
		}
		time.Sleep(time.Second)
		for range 100 {
			if code := r.post("/hook/repo", large, "X-Gitea-Signature", sign(secret, large)).StatusCode; code != 202 {
				t.Fatalf("a large one that is right, a second later: %d", code)
			}
		}
		time.Sleep(2 * quiet)
	})
}

// Secrets can be changed while hooks come, and both hold in between.
func TestSecretsChange(t *testing.T) {
	r := newReceiver(t, secret)
	post := func(key string) int { return r.post("/hook/repo", "{}", "X-Gitlab-Token", key).StatusCode }
	const other = "another one, quite as long"
	if err := os.WriteFile(r.secrets.path, []byte(secret+"\n\n"+other+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if post(secret) != 202 || post(other) != 202 {
		t.Error("both are not let in")
	}
	if err := os.WriteFile(r.secrets.path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if post(secret) != 403 || post(other) != 202 {
		t.Error("the old one still holds")
	}
	if err := os.Remove(r.secrets.path); err != nil {
		t.Fatal(err)
	}
	if post(other) != 503 {
		t.Error("without a secret somebody is let in")
	}
}

func TestSecretsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "is empty",
		"short\n":                            "could be guessed",
		secret + "\nshort":                   "secret 2",
		strings.Repeat(secret+"\n", 5):       "more than",
		strings.Repeat("x", maxSecretFile*2): "more than",
	} {
		if _, err := ReadSecrets(secretFile(t, text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	path := secretFile(t, secret)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecrets(path); err == nil || !strings.Contains(err.Error(), "chmod o-r") {
		t.Errorf("readable by everybody: %v", err)
	}
}
