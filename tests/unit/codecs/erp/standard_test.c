/* Messages for which there is no sample: written here after the standards, with what they say. */
#include "tests/unit/codecs/erp/by_hand.h"

#include "tests/unit/leaks.h"

#include <criterion/criterion.h>
#include <string.h>

/* One message through the maps of the executable: its JSON, with ' for ", and not one finding. */
static void expect(const char *name, const char *segments, const char *json) {
    struct hand hand;
    char wanted[2048];
    size_t n = strlen(json);
    cr_assert(n < sizeof wanted);
    for (size_t i = 0; i <= n; i++)
        wanted[i] = json[i] == '\'' ? '"' : json[i];
    hand_new(&hand, NULL);
    hand_expect(&hand, name, segments, wanted);
    for (unsigned i = 0; i < hand.finding_count; i++)
        cr_expect(false, "%s: %s", name, finding_kind(hand.findings[i].code)->name);
    hand_free(&hand);
    LEAKS_NONE();
}

Test(standard, a_purchase_order_change_of_edifact) {
    expect("EDIFACT ORDCHG",
           "BGM+230+PO7+4'DTM+137:20260901:102'NAD+BY+4012345000009::9'LIN+1+2'LIN+"
           "2+3+4012345600001:EN'QTY+21:7:PCE'UNS+S'CNT+2:2'",
           "{'header':{'id':'PO7','issued':'2026-09-01','function':'CHANGE','typeCode':'230'},"
           "'buyer':{'ids':[{'value':'4012345000009','scheme':'GLN','agency':'9'}]},"
           "'lines':[{'id':'1','action':'DELETED'},{'id':'2','item':{'ids':[{'value':'4012345600001',"
           "'scheme':'GTIN'}]},'quantity':{'value':'7','unit':'H87','sourceUnit':'PCE'},"
           "'action':'CHANGED'}],'totals':{'lineCount':2}}");
}

Test(standard, a_catalogue_of_edifact) {
    expect("EDIFACT PRICAT",
           "BGM+9+P1+9'DTM+137:20260901:102'NAD+SU+4012345000009::9'CUX+2:EUR'LIN+1+"
           "1+4012345600001:EN'QTY+53:10:PCE'PRI+AAA:1.50'DTM+157:20261001:102'RNG+"
           "4+PCE:50'PRI+SRP:1.99'CNT+2:1'",
           "{'header':{'id':'P1','issued':'2026-09-01','function':'ORIGINAL','typeCode':'9',"
           "'currency':'EUR'},'seller':{'ids':[{'value':'4012345000009','scheme':'GLN',"
           "'agency':'9'}]},'lines':[{'id':'1','action':'ADDED','item':{'ids':[{'value':'4012345600001',"
           "'scheme':'GTIN'}]},'prices':[{'amount':{'value':'1.50','currency':'EUR'},"
           "'type':'NET','valid':{'start':'2026-10-01'},'minimum':{'value':'50','unit':'H87',"
           "'sourceUnit':'PCE'}},{'amount':{'value':'1.99','currency':'EUR'},'type':'LIST'}],"
           "'orderUnit':{'value':'10','unit':'H87','sourceUnit':'PCE'}}]}");
}

Test(standard, a_remittance_advice_of_edifact) {
    expect("EDIFACT REMADV",
           "BGM+481+R1+9'DTM+137:20260901:102'DTM+138:20260905:102'RFF+PQ:PAY1'NAD+"
           "PR+1::92'NAD+PE+2::91'CUX+2:EUR'DOC+380+INV9'MOA+9:100.00'MOA+52:2.00'MOA+"
           "12:98.00'DTM+171:20260801:102'UNS+S'MOA+12:98.00'",
           "{'header':{'id':'R1','issued':'2026-09-01','function':'ORIGINAL','typeCode':'481',"
           "'currency':'EUR','references':[{'type':'PAYMENT','id':'PAY1'}]},'payer':{"
           "'ids':[{'value':'1','scheme':'BUYER','agency':'92'}]},'payee':{'ids':[{"
           "'value':'2','scheme':'SELLER','agency':'91'}]},'paid':'2026-09-05','total':{"
           "'value':'98.00','currency':'EUR'},'paymentReference':'PAY1','lines':[{'invoice':{"
           "'type':'INVOICE','id':'INV9','date':'2026-08-01'},'invoiced':{'value':'100.00',"
           "'currency':'EUR'},'discount':{'value':'2.00','currency':'EUR'},'paid':{"
           "'value':'98.00','currency':'EUR'}}]}");
}

Test(standard, an_instruction_to_despatch_of_edifact) {
    expect("EDIFACT INSDES",
           "BGM+239+S1+9'DTM+137:20260901:102'DTM+2:20260910:102'RFF+ON:PO7'NAD+GY+"
           "1::92'NAD+WH+2::92'NAD+ST+3::92'LIN+1++4012345600001:EN'QTY+21:7:PCE'CNT+"
           "2:1'",
           "{'header':{'id':'S1','issued':'2026-09-01','function':'ORIGINAL','typeCode':'239',"
           "'references':[{'type':'ORDER','id':'PO7'}]},'depositor':{'ids':[{'value':'1',"
           "'scheme':'BUYER','agency':'92'}]},'shipFrom':{'ids':[{'value':'2','scheme':'BUYER',"
           "'agency':'92'}]},'shipTo':{'ids':[{'value':'3','scheme':'BUYER','agency':'92'}]},"
           "'delivery':{'start':'2026-09-10','end':'2026-09-10'},'lines':[{'id':'1',"
           "'item':{'ids':[{'value':'4012345600001','scheme':'GTIN'}]},'quantity':{"
           "'value':'7','unit':'H87','sourceUnit':'PCE'}}]}");
}

Test(standard, a_purchase_order_change_of_x12) {
    expect("X12 860",
           "BCH+04+SA+PO7+++20260901'N1+BY+B+92+1'POC+1+AI+5++EA+1.25+PE+VP+A-1'POC+"
           "2+DI+3++EA'POC+3+PQ+7+2+EA'CTT+3'",
           "{'header':{'id':'PO7','issued':'2026-09-01','function':'CHANGE','typeCode':'SA'},"
           "'buyer':{'ids':[{'value':'1','scheme':'BUYER'}],'name':'B'},'lines':[{'id':'1',"
           "'item':{'ids':[{'value':'A-1','scheme':'SELLER'}]},'quantity':{'value':'5',"
           "'unit':'EA','sourceUnit':'EA'},'price':{'amount':{'value':'1.25'},'type':'PE'},"
           "'action':'ADDED'},{'id':'2','quantity':{'value':'3','unit':'EA','sourceUnit':'EA'},"
           "'action':'DELETED'},{'id':'3','quantity':{'value':'7','unit':'EA','sourceUnit':'EA'},"
           "'action':'CHANGED'}],'totals':{'lineCount':3}}");
}

Test(standard, a_receiving_advice_of_x12) {
    expect("X12 861",
           "BRA+R1+20260901+00+1'DTM+050+20260902'REF+SI+D7'N1+ST+W+UL+4012345000009'"
           "RCD+1+10+EA+2+EA+1+EA+02'LIN++UP+036000291452'PRF+PO7'CTT+1'",
           "{'header':{'id':'R1','issued':'2026-09-01','function':'ORIGINAL','references':["
           "{'type':'SI','id':'D7'}]},'despatch':{'type':'DESPATCH','id':'D7'},'receiver':{"
           "'ids':[{'value':'4012345000009','scheme':'GLN'}],'name':'W'},'received':'2026-09-02',"
           "'lines':[{'id':'1','item':{'ids':[{'value':'036000291452','scheme':'GTIN'}]},"
           "'received':{'value':'10','unit':'EA','sourceUnit':'EA'},'rejected':{'value':'2',"
           "'unit':'EA','sourceUnit':'EA'},'shortage':{'value':'1','unit':'EA','sourceUnit':'EA'},"
           "'reason':'02','orderLine':{'type':'ORDER','id':'PO7'}}]}");
}

Test(standard, an_implementation_acknowledgement_of_x12) {
    expect(
        "X12 999",
        "AK1+PO+17+005010'AK2+850+0001'IK3+PO1+4++8'IK4+2+330+6+X'IK5+R+5'AK9+R+"
        "1+1+0'",
        "{'subject':{'format':'X12','version':'005010','messageType':'850','groupRef':'17',"
        "'messageRef':'0001'},'scope':'GROUP','status':'REJECTED','findings':[{'code':'x12.segment-refused',"
        "'severity':2,'at':{'segment':4},'value':'0001','standardCode':'IK3:8'},"
        "{'code':'x12.element-refused','severity':2,'at':{'segment':4,'element':2},"
        "'value':'X','standardCode':'IK4:6'},{'code':'x12.set-refused','severity':2,"
        "'value':'0001','standardCode':'IK5:5'}],'included':1,'header':{'typeCode':'PO'}}");
}

Test(standard, an_application_advice_of_x12) {
    expect("X12 824",
           "BGN+00+T1+20260901+1200'OTI+TR+IV+INV9+++++++810'TED+024+Bad total+++++"
           "12.50'",
           "{'subject':{'messageType':'810','messageRef':'INV9'},'scope':'DOCUMENT',"
           "'status':'REJECTED','findings':[{'code':'x12.application-error','severity':2,"
           "'value':'12.50','text':'Bad total','standardCode':'024'}],'header':{'id':'T1',"
           "'issued':'2026-09-01T12:00:00'}}");
}
