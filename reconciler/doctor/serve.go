package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// A Served is where other machines are to find what this one has. The zero value is
// nowhere.
type Served struct {
	// Address is IP:PORT, or unix:///PATH, and TLS says that it is one with a certificate.
	Address string
	TLS     bool
	// Repo says that the config repo is given, too.
	Repo bool
}

const (
	// renewal is how long before its end a certificate should be a new one.
	renewal = 7 * 24 * time.Hour
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 1 << 20
	// unanswered is what to do where nobody answers.
	unanswered = "the agent serves while it runs: `systemctl status gitboot`; its log says why it listens to nothing. Others fetch from their registries meanwhile"
)

// checkServe asks this machine for what it is to give to others, as they would.
func checkServe(ctx context.Context, v *visit) []Finding {
	if v.Serve.Address == "" {
		return skip("nothing is given to other machines")
	}
	c := v.Serve.caller()
	defer c.CloseIdleConnections()
	end, err := c.ask(ctx, "/v2/", nil)
	if err != nil {
		return warn(fmt.Sprintf("what this machine has should be given out at %s: %v", v.Serve.Address, err), unanswered)
	}
	if !end.IsZero() && end.Sub(v.Config.Now()) < renewal {
		return warn(fmt.Sprintf("the certificate of %s ends, or ended, on %s: others refuse it from then on", v.Serve.Address, end.UTC().Format(time.DateOnly)), "renew the file of serve.tls_cert in "+v.File+"; a new one is taken by itself")
	}
	gives, err := c.object(ctx, v)
	if err != nil {
		return warn(fmt.Sprintf("%s answers, but does not give what is on the stage: %v", v.Serve.Address, err), "another program may answer there, or an agent with another stage: compare serve.listen and stage in "+v.File+", then `systemctl restart gitboot`")
	}
	if v.Serve.Repo {
		if err := c.repo(ctx); err != nil {
			return warn(fmt.Sprintf("%s answers, but does not give the config repo: %v", v.Serve.Address, err), "`systemctl restart gitboot` has the agent read serve.repo; `gitboot reconcile --once` fetches what it gives")
		}
		gives += " and the config repo"
	}
	return ok("%s answers, and gives %s%s", v.Serve.Address, gives, v.Serve.reach())
}

// reach says who can ask at all, where that is this machine alone.
func (s Served) reach() string {
	at, err := netip.ParseAddrPort(s.Address)
	if err != nil || at.Addr().Unmap().IsLoopback() {
		return ", to who is on this machine, such as a proxy"
	}
	return ""
}

// A caller asks one address, whoever vouches for it: it is this machine's own.
type caller struct {
	http.Client
	base string
}

func (s Served) caller() *caller {
	network, address, scheme := "tcp", s.Address, "http"
	if path, ok := strings.CutPrefix(s.Address, "unix://"); ok {
		network, address = "unix", path // without TLS, whatever is declared
	} else if s.TLS {
		scheme = "https"
	}
	return &caller{base: scheme + "://this-machine", Client: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
	}}}
}

// ask wants an answer with a body that is as it should be, and says when the certificate
// ends, if there is one.
func (c *caller) ask(ctx context.Context, path string, good func(body []byte) bool) (end time.Time, err error) {
	method := http.MethodGet
	if good == nil {
		method = http.MethodHead
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return end, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return end, errors.Unwrap(err) // without the address, which is none
	}
	defer resp.Body.Close()
	if resp.TLS != nil {
		end = resp.TLS.PeerCertificates[0].NotAfter
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return end, err
	case resp.StatusCode != http.StatusOK:
		return end, fmt.Errorf("%s is answered with %s", path, resp.Status)
	case good != nil && !good(body):
		return end, fmt.Errorf("%s is answered with nothing", path)
	}
	return end, nil
}

// object asks for one that others may want, and says what there is.
func (c *caller) object(ctx context.Context, v *visit) (string, error) {
	const later = "what is on the stage, once something is"
	doc, st, skipped := v.staged()
	if skipped != nil {
		return later, nil
	}
	for _, i := range doc.Images {
		for _, g := range i.Generations {
			m, err := st.Deployment(g.Deployment)
			if err != nil || len(m.Layers) == 0 {
				continue // another check's
			}
			_, err = c.ask(ctx, "/v2/stage/blobs/sha256:"+m.Layers[0].SHA256, nil)
			return "what is on the stage", err
		}
	}
	return later, nil
}

// repo asks as git does.
func (c *caller) repo(ctx context.Context) error {
	_, err := c.ask(ctx, "/repo/info/refs?service=git-upload-pack", func(body []byte) bool { return strings.Contains(string(body), "refs/heads/") })
	return err
}
