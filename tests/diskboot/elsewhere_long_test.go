//go:build long

package diskboot

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// A machine is installed by what a NoCloud seed says that is beside the medium.
func TestLongSeed(t *testing.T) {
	s := newSite(t)
	dir := t.TempDir()
	seed, data := filepath.Join(dir, "seed"), filepath.Join(dir, "user-data")
	must(t, os.WriteFile(data, []byte(answers), 0o600))
	must(t, os.WriteFile(seed, nil, 0o600))
	must(t, os.Truncate(seed, 8<<20))
	s.run(t, "", "mkfs.vfat", "-n", "CIDATA", seed)
	s.run(t, "", "mcopy", "-i", seed, data, "::user-data")
	vm := s.machine(t, lab.VMOptions{Disk: s.blank(t), Stick: s.iso(t, "--how", "cloud"), More: []string{seed}, Firmware: lab.UEFI, MemoryMB: 512})
	s.prints(t, vm, `boots small at revision`, `lab: small started`)
}

// What installs a machine comes over https from a server that the image trusts. What
// comes from another is not taken, and nothing is erased.
func TestLongAnswersByHTTPS(t *testing.T) {
	trusted, stranger := newServer(t), newServer(t)
	s := newSiteOf(t, strings.Replace(config, "PARTITIONS", partitions, 1), func(ctx context.Context, path, start string) error {
		dir := t.TempDir()
		name := "etc/ssl/certs/ca-certificates.crt"
		err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), trusted.certificate, 0o644)
		}
		if err == nil {
			err = lab.Small(ctx, path, start)
		}
		if err == nil {
			_, err = lab.Run(ctx, "tar", "--append", "--file", path, "-C", dir, name)
		}
		return err
	})
	machine := lab.VMOptions{Disk: s.blank(t), Firmware: lab.UEFI, MemoryMB: 512, MAC: "52:54:00:00:00:01"}
	machine.Stick = s.iso(t, "--how", stranger.url)
	vm := s.machine(t, machine)
	s.prints(t, vm, `gitboot: read how to install from https://10\.0\.2\.2:\d+/install\.toml: .*certificate signed by unknown authority`, `built-in shell`)
	must(t, vm.Stop())
	if starts(t, machine.Disk) {
		t.Error("the disk was written to")
	}
	machine.Stick = s.iso(t, "--how", trusted.url, "--force")
	s.prints(t, s.machine(t, machine), `boots small at revision`, `lab: small started`)
}

// What a machine is to have tried before it boots that comes up here first, or there is
// no disk.
func TestLongDiskIsTriedFirst(t *testing.T) {
	s := newSiteOf(t, strings.NewReplacer("PARTITIONS", partitions, "boot   =", "boot_test = \"on\"\nboot   =").Replace(config), func(ctx context.Context, path, start string) error {
		return lab.Small(ctx, path, start)
	})
	out, err := s.command("disk", "image", "small", "-o", "a.img", "--size", "400MB").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "boot test: the machine ended before it was judged") {
		t.Errorf("%v: %s", err, out)
	}
	if names := s.files(t); slices.Contains(names, "a.img") {
		t.Errorf("there is a disk: %v", names)
	}
}

// prints waits for lines on a machine's console, in this order.
func (s *site) prints(t *testing.T, vm *lab.VM, lines ...string) {
	t.Helper()
	for _, line := range lines {
		ctx, cancel := context.WithTimeout(s.ctx, 2*time.Minute)
		defer cancel()
		_, err := vm.WaitFor(ctx, regexp.MustCompile(line))
		must(t, err)
	}
}

// A server has answers for the machines of this computer, who see it at another
// address. Who trusts its certificate trusts no other server.
type server struct {
	url         string
	certificate []byte
}

func newServer(t *testing.T) server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	self := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(10, 0, 2, 2)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &self, &self, &key.PublicKey, key)
	must(t, err)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(answers)) }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	must(t, err)
	return server{"https://10.0.2.2:" + port + "/install.toml", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}
