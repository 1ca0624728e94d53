import EgressGateway
import Result

/// Every kind of result that this program writes and reads.
enum ResultKinds {
    static let all = [EgressClientResult.kind]
}
