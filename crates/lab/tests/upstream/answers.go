// Prints what flintlock's own gRPC handlers answer, one case a line: name, default provider, request, answer.
// To run it: put it into cmd/answers of a checkout of flintlock v0.11.0, and `go run ./cmd/answers > answers.tsv`.
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"

	mvmv1 "github.com/liquidmetal-dev/flintlock/api/services/microvm/v1alpha1"
	"github.com/liquidmetal-dev/flintlock/core/application"
	coreerrs "github.com/liquidmetal-dev/flintlock/core/errors"
	"github.com/liquidmetal-dev/flintlock/core/models"
	"github.com/liquidmetal-dev/flintlock/core/ports"
	mvmgrpc "github.com/liquidmetal-dev/flintlock/infrastructure/grpc"
	"github.com/sirupsen/logrus"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"time"
)

const uid = "01HAAAAAAAAAAAAAAAAAAAAAAA"

type repo struct{ ports.MicroVMRepository }

func (repo) Save(_ context.Context, m *models.MicroVM) (*models.MicroVM, error) {
	m.Version++
	return m, nil
}
func (repo) Get(_ context.Context, o ports.RepositoryGetOptions) (*models.MicroVM, error) {
	return nil, coreerrs.NewSpecNotFound(o.Name, o.Namespace, "", o.UID)
}

type ids struct{}

func (ids) GenerateRandom() (string, error) { return uid, nil }

type bus struct{ ports.EventService }

func (bus) Publish(context.Context, string, interface{}) error { return nil }

type provider struct {
	ports.MicroVMService
	caps models.Capabilities
}

func (p provider) Capabilities() models.Capabilities { return p.caps }

func server(provider_ string) ports.MicroVMGRPCService {
	c := &ports.Collection{
		Repo: repo{}, IdentifierService: ids{}, EventService: bus{}, Clock: time.Now,
		MicrovmProviders: map[string]ports.MicroVMService{
			"firecracker":     provider{caps: models.Capabilities{models.MetadataServiceCapability, models.VSockCapability}},
			"cloudhypervisor": provider{caps: models.Capabilities{models.AutoStartCapability, models.MacvtapCapability, models.VirtioFSCapability, models.VSockCapability}},
		},
	}
	app := application.New(&application.Config{DefaultProvider: provider_, MaximumRetry: 10}, c)
	return mvmgrpc.NewServer(app, app)
}

func print(name, provider string, req proto.Message, resp proto.Message, err error) {
	b, e := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if e != nil {
		panic(e)
	}
	out := ""
	if err != nil {
		s, _ := status.FromError(err)
		if s == nil {
			s = status.New(2, err.Error())
		}
		out = fmt.Sprintf("%s\t%s", s.Code(), strconv.QuoteToASCII(s.Message()))
	} else {
		r, e := proto.MarshalOptions{Deterministic: true}.Marshal(resp)
		if e != nil {
			panic(e)
		}
		out = "OK\t" + hex.EncodeToString(r)
	}
	fmt.Printf("%s\t%s\t%s\t%s\n", name, provider, hex.EncodeToString(b), out)
}

func create(name, provider, spec string) {
	req := &mvmv1.CreateMicroVMRequest{}
	if spec != "" {
		if err := protojson.Unmarshal([]byte(`{"microvm":`+spec+`}`), req); err != nil {
			panic(name + err.Error())
		}
	}
	sent := proto.Clone(req)
	resp, err := server(provider).CreateMicroVM(context.Background(), req)
	print(name, provider, sent, resp, err)
}

const (
	fc     = "firecracker"
	ch     = "cloudhypervisor"
	kernel = `"kernel":{"image":"ghcr.io/example/kernel:1","filename":"boot/vmlinux"}`
	root   = `"rootVolume":{"id":"root","source":{"containerSource":"ghcr.io/example/os:1"}}`
	tap    = `"interfaces":[{"deviceId":"eth1","type":"TAP"}]`
)

func main() {
	logrus.SetOutput(os.Stderr)
	logrus.SetLevel(logrus.PanicLevel)
	with := func(name, more string) { create(name, fc, `{"id":"m1",`+kernel+`,`+root+`,`+tap+more+`}`) }
	iface := func(name, iface string) {
		create(name, fc, `{"id":"m1",`+kernel+`,`+root+`,"interfaces":[`+iface+`]}`)
	}
	create("no spec", fc, "")
	create("no name", fc, `{`+kernel+`,`+root+`,`+tap+`}`)
	with("least", "")
	with("everything", `,"namespace":"team","labels":{"a":"b"},"vcpu":4,"memoryInMb":4096,"uid":"mine","provider":"firecracker","allowGuestAgent":true,
	  "createdAt":"2026-01-01T00:00:00Z","metadata":{"user-data":"I2Nsb3VkLWNvbmZpZwo=","own":"not base64 !"},
	  "additionalVolumes":[{"id":"data","isReadOnly":true,"mountPoint":"/data","partitionId":"p","sizeInMb":7,"source":{"containerSource":" ghcr.io/example/data:1\n"}},{"id":"bare"}],
	  "initrd":{"image":"ghcr.io/example/initrd:1"}`)
	create("kernel in full", fc, `{"id":"m1",`+root+`,`+tap+`,"kernel":{"image":"ghcr.io/example/kernel:1","filename":"f","cmdline":{"a":"b"},"addNetworkConfig":true}}`)
	iface("interface in full", `{"deviceId":"eth1","type":"TAP","guestMac":"aa:ff:00:00:00:02","address":{"address":"192.168.1.2/24","gateway":"192.168.1.1/24","nameservers":["1.1.1.1","fd00::1"]},"overrides":{"bridgeName":"br0"}}`)
	create("no kernel", fc, `{"id":"m1",`+root+`,`+tap+`}`)
	create("nothing but a name", fc, `{"id":"m1"}`)
	for i, image := range []string{"kernel", "kernel:1", "kernel:latest", "http://ghcr.io/kernel", "/kernel", "ghcr.io/a b:1", "a b/c", " ghcr.io/x:1 ", "ghcr.io/x@sha256:00", "ghcr.io/%zz", "[::1]:5000/x", "ghcr.io:/x", "?x", "a_b/c", "user@ghcr.io/x"} {
		create(fmt.Sprintf("kernel image %d", i), fc, `{"id":"m1",`+root+`,`+tap+`,"kernel":{"image":`+strconv.Quote(image)+`,"filename":"f"}}`)
	}
	for _, n := range []string{"-1", "1", "64", "65"} {
		with("vcpu "+n, `,"vcpu":`+n)
	}
	for _, n := range []string{"-1", "1023", "1024", "32768", "32769"} {
		with("memory "+n, `,"memoryInMb":`+n)
	}
	create("no interface", fc, `{"id":"m1",`+kernel+`,`+root+`}`)
	for _, n := range []string{"", "Eth", "a/b", "a@b", "1a", "a-b", "eth_1", "eth0"} {
		iface("device "+n, `{"type":"TAP","deviceId":`+strconv.Quote(n)+`}`)
	}
	for _, n := range []string{"x", "AA-FF-00-00-00-01", "aaff.0000.0001", "aa:ff:00:00:00", "aa:ff:00:00:00:01:02:03", "aa:ff-00:00:00:01", ""} {
		iface("mac "+n, `{"type":"TAP","deviceId":"eth1","guestMac":`+strconv.Quote(n)+`}`)
	}
	for _, n := range []string{"10.0.0.1", "10.0.0.1/33", "fd00::1/64", "010.0.0.1/8", "", "10.0.0.1/08", "::ffff:10.0.0.1/100"} {
		iface("address "+n, `{"type":"TAP","deviceId":"eth1","address":{"address":`+strconv.Quote(n)+`}}`)
	}
	for _, n := range []string{"10.0.0.1", "", "10.0.0.1/24"} {
		iface("gateway "+n, `{"type":"TAP","deviceId":"eth1","address":{"address":"10.0.0.2/24","gateway":`+strconv.Quote(n)+`}}`)
	}
	for _, n := range []string{"10.0.0.1", "", "ns.example.com", "10.0.0.1/24"} {
		iface("nameserver "+n, `{"type":"TAP","deviceId":"eth1","address":{"address":"10.0.0.2/24","nameservers":["1.1.1.1",`+strconv.Quote(n)+`]}}`)
	}
	iface("unknown type", `{"deviceId":"eth1","type":7}`)
	iface("macvtap", `{"deviceId":"eth1","type":"MACVTAP"}`)
	create("macvtap", ch, `{"id":"m1",`+kernel+`,`+root+`,"interfaces":[{"deviceId":"eth1"}]}`)
	with("provider cloudhypervisor", `,"provider":"cloudhypervisor"`)
	with("provider empty", `,"provider":""`)
	with("provider unknown", `,"provider":"qemu"`)
	create("no root volume", fc, `{"id":"m1",`+kernel+`,`+tap+`}`)
	create("empty root volume", fc, `{"id":"m1",`+kernel+`,`+tap+`,"rootVolume":{}}`)
	create("no root volume but an initrd", fc, `{"id":"m1",`+kernel+`,`+tap+`,"initrd":{"image":"ghcr.io/example/initrd:1","filename":"i"}}`)
	create("root volume by id only", fc, `{"id":"m1",`+kernel+`,`+tap+`,"rootVolume":{"id":"root"}}`)
	create("root volume by mount point only", fc, `{"id":"m1",`+kernel+`,`+tap+`,"rootVolume":{"mountPoint":"/"}}`)
	create("root volume of virtiofs", ch, `{"id":"m1",`+kernel+`,`+tap+`,"rootVolume":{"id":"root","source":{"virtiofsSource":"/x"}}}`)
	with("initrd without image", `,"initrd":{}`)
	with("initrd image wrong", `,"initrd":{"image":"http://x/y"}`)
	fs := `{"id":"a","source":{"virtiofsSource":"/a"}}`
	with("virtiofs", `,"additionalVolumes":[`+fs+`]`)
	with("virtiofs on cloudhypervisor", `,"provider":"cloudhypervisor","additionalVolumes":[`+fs+`]`)
	with("virtiofs twice", `,"provider":"cloudhypervisor","additionalVolumes":[`+fs+`,`+fs+`]`)
	with("both sources", `,"provider":"cloudhypervisor","additionalVolumes":[{"id":"a","source":{"virtiofsSource":"/a","containerSource":"b"}}]`)
	with("guest agent on cloudhypervisor", `,"provider":"cloudhypervisor","allowGuestAgent":true`)
	meta := func(name, value string) { with("meta-data "+name, `,"metadata":{"meta-data":"`+value+`"}`) }
	meta("with an instance id", "aW5zdGFuY2VfaWQ6IG1pbmUK")
	meta("without one", "bG9jYWxfaG9zdG5hbWU6IG0xCmFuc3dlcjogNDIKZmxhZzogdHJ1ZQo=")
	meta("not base64", "!!")
	meta("a list", "LSBhCg==")
	meta("empty", "")
	create("many failures", fc, `{"id":"m1","vcpu":65,"memoryInMb":1,"kernel":{"image":"http://x"},"initrd":{"image":"/"},"interfaces":[{"deviceId":"A"},{"deviceId":"a","type":"TAP","guestMac":"x","address":{"address":"x","nameservers":["y"]}}],"additionalVolumes":[`+fs+`,`+fs+`]}`)

	s := server(fc)
	for _, u := range []string{"", uid} {
		g := &mvmv1.GetMicroVMRequest{Uid: u}
		r, err := s.GetMicroVM(context.Background(), g)
		print("get "+u, fc, g, r, err)
		d := &mvmv1.DeleteMicroVMRequest{Uid: u}
		e, err := s.DeleteMicroVM(context.Background(), d)
		print("delete "+u, fc, d, e, err)
	}
}
