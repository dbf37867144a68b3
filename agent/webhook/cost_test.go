package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gitboot/gitboot/agent/listen"
	"github.com/gitboot/gitboot/tests/need"
)

// serving makes this test's program the one that is measured.
const serving = "GITBOOT_TEST_WEBHOOK_SECRET_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(serving); path != "" {
		serve(path)
		return
	}
	os.Exit(m.Run())
}

// serve answers hooks as the agent does, until its input ends.
func serve(secretFile string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l, err := listen.Options{Address: "127.0.0.1:0"}.Open()
	if err == nil {
		var h *Handler
		if h, err = New(Options{SecretFile: secretFile, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Ask: func(string, bool) { fmt.Println("asked") }}); err == nil {
			fmt.Println(l.Addr())
			began := used()
			err = listen.Serve(ctx, l, 64, h)
			fmt.Println(used()-began, peak())
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// used is the processor time of this process.
func used() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// peak is the most memory that this process had, in kB.
func peak() string {
	status, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	words := strings.Fields(rest)
	return words[0]
}

// A served is the process that is measured.
type served struct {
	cmd      *exec.Cmd
	addr     string
	out, log bytes.Buffer
	read     chan error
}

func start(t *testing.T) *served {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &served{cmd: exec.Command(self)}
	s.cmd.Env = []string{serving + "=" + secretFile(t, secret), "GOMAXPROCS=1"}
	s.cmd.Stderr = &s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var line [64]byte
	n, err := out.Read(line[:])
	if err != nil {
		t.Fatal(err, s.log.String())
	}
	s.addr = strings.TrimSpace(string(line[:n]))
	s.read = make(chan error, 1)
	go func() {
		_, err := io.Copy(&s.out, out)
		s.read <- err
	}()
	return s
}

// stop ends it, and says what processor time and memory, in kB, it took.
func (s *served) stop(t *testing.T) (took time.Duration, memory int) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-s.read, s.cmd.Wait()); err != nil {
		t.Fatal(err, s.log.String())
	}
	text := strings.TrimPrefix(s.out.String(), "asked\n")
	if _, err := fmt.Sscan(text, (*int64)(&took), &memory); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return took, memory
}

// attack is one bad hook, over a connection of its own or not, whatever becomes
// of it.
type attack struct {
	name string
	size int
	keep bool
	// header is who it claims to be.
	header, value string
}

var attacks = []attack{
	{"wrongly signed", 5 << 10, true, "X-Gitea-Signature", strings.Repeat("0", 64)},
	{"wrongly signed, each on a connection of its own", 5 << 10, false, "X-Gitea-Signature", strings.Repeat("0", 64)},
	{"wrongly signed, 500 kB, each on a connection of its own", 500 << 10, false, "X-Gitea-Signature", strings.Repeat("0", 64)},
	{"with a wrong token, 500 kB", 500 << 10, true, "X-Gitlab-Token", "wrong"},
}

// A thousand bad hooks a second cost less than a tenth of a processor, no
// memory worth naming, two lines of log, and no look; a good one among them is
// heard.
func TestCostOfBadHooks(t *testing.T) {
	need.Long(t)
	const each, seconds = 1000, 2
	for _, a := range attacks {
		s := start(t)
		body := bytes.Repeat([]byte("x"), a.size)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: !a.keep, MaxIdleConnsPerHost: 100}, Timeout: 2 * time.Second}
		var sent sync.WaitGroup
		var answered atomic.Int64
		var good int
		began, tick := time.Now(), time.NewTicker(10*time.Millisecond)
		for n := range each * seconds {
			if n%(each/100) == 0 {
				<-tick.C
			}
			sent.Go(func() {
				if post(client, s.addr, body, a.header, a.value) != 0 {
					answered.Add(1)
				}
			})
			if n == each*seconds/2 {
				good = post(&http.Client{Timeout: 10 * time.Second}, s.addr, []byte("{}"), "X-Gitea-Signature", sign(secret, "{}"))
			}
		}
		sent.Wait()
		tick.Stop()
		took := time.Since(began)
		used, memory := s.stop(t)
		share := used.Seconds() / max(took.Seconds(), seconds)
		t.Logf("%s: %.1f %% of a processor, %d MB; %d were answered in %s", a.name, 100*share, memory>>10, answered.Load(), took.Round(time.Millisecond))
		if share > 0.1 || memory > 40<<10 {
			t.Errorf("%s: %d a second cost %.1f %% of a processor and %d MB", a.name, each, 100*share, memory>>10)
		}
		if good != http.StatusAccepted {
			t.Errorf("%s: a good one is answered with %d", a.name, good)
		}
		if lines := strings.Count(s.log.String(), "\n"); lines > 2 {
			t.Errorf("%s: %d lines of log:\n%s", a.name, lines, &s.log)
		}
	}
}

// post sends a hook and returns the answer's code, 0 for none.
func post(client *http.Client, addr string, body []byte, header, value string) int {
	req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/hook/repo", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set(header, value)
	answer, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}
