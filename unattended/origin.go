package unattended

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/plain"
)

// An Origin is where answers may lie.
type Origin struct {
	// Medium is the path of the file on the installation medium.
	Medium string
	// Metadata is where a cloud's metadata service is, MetadataURL but in tests.
	Metadata string
	// Patience is how long a server is waited for, whose network may have to come up.
	Patience time.Duration
}

// MetadataURL is where clouds have it.
const MetadataURL = "http://169.254.169.254"

// Read reads answers from where how says: deployment.InstallMedium, InstallCloud, or a
// URL.
func (o Origin) Read(ctx context.Context, how string) (a Answers, err error) {
	var data []byte
	where := how
	switch how {
	case deployment.InstallMedium:
		where = o.Medium
		data, err = ReadFile(o.Medium)
	case deployment.InstallCloud:
		where, data, err = o.cloud(ctx)
	default:
		data, err = o.patiently(ctx, func() ([]byte, error) { return get(ctx, http.MethodGet, how, nil) })
	}
	if err != nil {
		return a, fmt.Errorf("read how to install from %s: %w", plain.Visible(where), err)
	}
	if a, err = Parse(data); err != nil {
		return a, fmt.Errorf("the answers of %s: %w; nothing was erased", plain.Visible(where), err)
	}
	return a, nil
}

// ReadFile reads answers from a plain file, as much of it as they may have. Who makes a
// medium and who installs from it reads them in the same way.
func ReadFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a link; name the file itself", path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("it is no plain file"))
	}
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// cloud looks for a seed of NoCloud's, a file system with the label cidata, and then
// asks the metadata service.
func (o Origin) cloud(ctx context.Context) (where string, data []byte, err error) {
	device, data, err := seed()
	if device != "" || err != nil {
		return "user-data of " + device, data, err
	}
	where = o.Metadata + "/latest/user-data"
	data, err = o.patiently(ctx, func() ([]byte, error) { return o.userData(ctx, where) })
	return where, data, err
}

// userData asks as EC2 has it: with a token, if the service hands out some.
func (o Origin) userData(ctx context.Context, url string) ([]byte, error) {
	token, err := get(ctx, http.MethodPut, o.Metadata+"/latest/api/token", map[string]string{"X-aws-ec2-metadata-token-ttl-seconds": "60"})
	refused := (*statusError)(nil)
	switch {
	case err == nil:
		return get(ctx, http.MethodGet, url, map[string]string{"X-aws-ec2-metadata-token": strings.TrimSpace(string(token))})
	case errors.As(err, &refused):
		return get(ctx, http.MethodGet, url, nil)
	}
	return nil, err
}

// again is the pause between two attempts, and answerTime how long one may take.
const (
	again      = time.Second
	answerTime = 10 * time.Second
)

// patiently asks until somebody answers, or one who is not trusted.
func (o Origin) patiently(ctx context.Context, ask func() ([]byte, error)) ([]byte, error) {
	limit := time.NewTimer(o.Patience)
	defer limit.Stop()
	for {
		data, err := ask()
		if err == nil || errors.As(err, new(*statusError)) || errors.As(err, new(*tls.CertificateVerificationError)) {
			return data, err
		}
		next := time.NewTimer(again)
		select {
		case <-next.C:
		case <-limit.C:
			return nil, fmt.Errorf("%w; it was tried for %v", err, o.Patience)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// A statusError is a server's, who would not answer otherwise if asked again.
type statusError struct{ status string }

func (e *statusError) Error() string { return "it answers " + plain.Visible(e.status) }

// get asks a server, follows nobody elsewhere, and reads so much as answers may have.
func get(ctx context.Context, method, url string, header map[string]string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, &statusError{answer.Status}
	}
	return io.ReadAll(io.LimitReader(answer.Body, MaxSize+1))
}
