import com.google.gson.Gson;
import com.google.zetasql.Analyzer;
import com.google.zetasql.AnalyzerOptions;
import com.google.zetasql.LanguageOptions;
import com.google.zetasql.SimpleCatalog;
import com.google.zetasql.SimpleColumn;
import com.google.zetasql.SimpleTable;
import com.google.zetasql.SqlException;
import com.google.zetasql.StructType.StructField;
import com.google.zetasql.Type;
import com.google.zetasql.TypeFactory;
import com.google.zetasql.ZetaSQLBuiltinFunctionOptions;
import com.google.zetasql.ZetaSQLOptions.NameResolutionMode;
import com.google.zetasql.ZetaSQLOptions.ProductMode;
import com.google.zetasql.ZetaSQLType.TypeKind;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Analyzes statements with Google's own GoogleSQL analyzer, as BigQuery would before it runs them.
 *
 * <p>Each line of standard input is a JSON object: tables (name to column to type) and statements (sql, parameters: name
 * to type). Each line of standard output answers one with a JSON list: for each statement, null or why it is refused.
 */
public class Analyze {
  record Statement(String sql, Map<String, String> parameters) {}

  record Request(Map<String, Map<String, String>> tables, List<Statement> statements) {}

  public static void main(String[] arguments) {
    LanguageOptions language = language();
    Gson plain = new Gson();
    Gson withNulls = plain.newBuilder().serializeNulls().create();
    new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))
        .lines()
        .forEach(
            line -> {
              List<String> refusals = refusals(plain.fromJson(line, Request.class), language);
              System.out.println(withNulls.toJson(refusals));
            });
  }

  private static List<String> refusals(Request request, LanguageOptions language) {
    SimpleCatalog catalog = catalog(request.tables(), language);
    List<String> refusals = new ArrayList<>();
    for (Statement statement : request.statements()) {
      AnalyzerOptions options = new AnalyzerOptions();
      options.setLanguageOptions(language);
      statement.parameters().forEach((name, type) -> options.addQueryParameter(name, type(type)));
      refusals.add(refusal(statement.sql(), options, catalog));
    }
    return refusals;
  }

  private static String refusal(String sql, AnalyzerOptions options, SimpleCatalog catalog) {
    try {
      Analyzer.analyzeStatement(withoutMaxBy(sql), options, catalog);
      return null;
    } catch (SqlException refused) {
      return refused.getMessage();
    }
  }

  private static LanguageOptions language() {
    LanguageOptions language = new LanguageOptions();
    language.enableMaximumLanguageFeatures();
    language.setSupportsAllStatementKinds();
    language.setNameResolutionMode(NameResolutionMode.NAME_RESOLUTION_DEFAULT);
    language.setProductMode(ProductMode.PRODUCT_EXTERNAL);
    language.enableReservableKeyword("QUALIFY");
    return language;
  }

  private static SimpleCatalog catalog(
      Map<String, Map<String, String>> tables, LanguageOptions language) {
    SimpleCatalog catalog = new SimpleCatalog("bigquery");
    catalog.addZetaSQLFunctionsAndTypes(new ZetaSQLBuiltinFunctionOptions(language));
    new TreeMap<>(tables)
        .forEach(
            (name, columns) -> {
              List<SimpleColumn> all = new ArrayList<>();
              columns.forEach((column, type) -> all.add(new SimpleColumn(name, column, type(type))));
              catalog.addSimpleTable(new SimpleTable(name, all));
            });
    return catalog;
  }

  private static Type type(String name) {
    if (name.startsWith("ARRAY<")) {
      return TypeFactory.createArrayType(type(name.substring(6, name.length() - 1)));
    }
    if (name.startsWith("STRUCT<")) {
      List<StructField> fields = new ArrayList<>();
      for (String field : name.substring(7, name.length() - 1).split(", ")) {
        String[] parts = field.split(" ");
        fields.add(new StructField(parts[0], type(parts[1])));
      }
      return TypeFactory.createStructType(fields);
    }
    return TypeFactory.createSimpleType(
        switch (name) {
          case "INT64", "INTEGER" -> TypeKind.TYPE_INT64;
          case "FLOAT64", "FLOAT" -> TypeKind.TYPE_DOUBLE;
          case "BOOL", "BOOLEAN" -> TypeKind.TYPE_BOOL;
          default -> TypeKind.valueOf("TYPE_" + name);
        });
  }

  /** BigQuery's MAX_BY(x, y) is newer than this analyzer, which knows the aggregate it stands for. */
  private static String withoutMaxBy(String sql) {
    String call = "MAX_BY(";
    int start = sql.indexOf(call);
    if (start < 0) {
      return sql;
    }
    int first = start + call.length();
    int depth = 0;
    int comma = -1;
    int end = first;
    for (; depth > 0 || sql.charAt(end) != ')'; end++) {
      char c = sql.charAt(end);
      depth += c == '(' ? 1 : c == ')' ? -1 : 0;
      comma = c == ',' && depth == 0 ? end : comma;
    }
    String spelled =
        "ANY_VALUE(%s HAVING MAX %s)"
            .formatted(sql.substring(first, comma), sql.substring(comma + 1, end));
    return withoutMaxBy(sql.substring(0, start) + spelled + sql.substring(end + 1));
  }
}
