package webhook

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// distribution starts Debian's registry, which tells url of what happens, and
// returns its address.
func distribution(t *testing.T, url, token string) string {
	t.Helper()
	need.Program(t, "docker-registry")
	addr, stop, err := lab.StartDistribution(t.Context(), t.TempDir(), lab.DistributionOptions{Notify: url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return addr
}

// A real registry's push asks for a look at digests; what the look reads, of
// which the registry tells, too, asks for nothing.
func TestRegistryNotifies(t *testing.T) {
	need.Long(t)
	const token = "0123456789abcdef"
	asked, answers := make(chan bool, 100), make(chan int, 1000)
	h, err := New(Options{SecretFile: secretFile(t, token), Log: slog.New(slog.DiscardHandler), Ask: func(_ string, update bool) { asked <- update }})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		w.WriteHeader(answer.Code)
		answers <- answer.Code
	}))
	defer server.Close()
	tag, err := name.NewTag(distribution(t, server.URL+"/hook/image", token)+"/team/desktop:stable", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	next := func(what string) int {
		t.Helper()
		select {
		case code := <-answers:
			return code
		case <-time.After(20 * time.Second):
			t.Fatalf("the registry does not tell of %s", what)
			return 0
		}
	}
	if err := remote.Write(tag, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	for code := 0; code != http.StatusAccepted; {
		if code = next("the push"); code != http.StatusAccepted && code != http.StatusOK {
			t.Fatalf("an event is answered with %d", code)
		}
	}
	if !<-asked {
		t.Error("the look does not ask for digests")
	}
	if _, err := remote.Get(tag, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	if code := next("the pull"); code != http.StatusOK {
		t.Errorf("a pull is answered with %d", code)
	}
	if len(asked) > 0 {
		t.Error("a pull asks for a look")
	}
}
