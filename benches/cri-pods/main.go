// Prints the pods of containerd's CRI service, by one direct call, in crictl's language: crictl itself is in no Debian
// suite and in no other registry that a benchmark could take it from.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func main() {
	insecurely := grpc.WithTransportCredentials(insecure.NewCredentials())
	connection, err := grpc.NewClient("unix:///run/containerd/containerd.sock", insecurely)
	if err != nil {
		log.Fatal(err)
	}
	deadline, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	service := cri.NewRuntimeServiceClient(connection)
	answer, err := service.ListPodSandbox(deadline, &cri.ListPodSandboxRequest{})
	if err != nil {
		log.Fatal(err)
	}
	table := tabwriter.NewWriter(os.Stdout, 10, 1, 3, ' ', 0)
	fmt.Fprintln(table, "POD ID\tCREATED\tSTATE\tNAME\tNAMESPACE\tATTEMPT\tRUNTIME")
	for _, pod := range answer.Items {
		age := time.Since(time.Unix(0, pod.CreatedAt)).Round(time.Second)
		fmt.Fprintf(table, "%.13s\t%s ago\t%s\t%s\t%s\t%d\t%s\n", pod.Id, age, pod.State,
			pod.Metadata.Name, pod.Metadata.Namespace, pod.Metadata.Attempt, pod.RuntimeHandler)
	}
	table.Flush()
}
